/*
 * settings_check.h - what a value, and what the values together, must be.
 *
 * A check_ function says what is wrong with one text, without its place; the parser puts file, line
 * and key in front.  settings_finish() looks at the whole.
 */
#ifndef CPAM_CLI_SETTINGS_CHECK_H
#define CPAM_CLI_SETTINGS_CHECK_H

#include "base/arena.h"
#include "base/err.h"

struct settings_raw;
struct yaml_node;

enum cpam_status check_cluster_name(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_repository_name(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_url(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_endpoint(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_region(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_account(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_storage_class(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_connection(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_public_key(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_writer_key(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_acknowledge(const char *value, struct cpam_err *err) CPAM_CHECK;
enum cpam_status check_label_prefix(const char *value, struct cpam_err *err) CPAM_CHECK;

/* Keep one element of encryption.recipients or .identities (`list`); others have no place yet. */
enum cpam_status settings_keep_key(struct settings_raw *raw, const char *list,
                                   const struct yaml_node *node, struct cpam_err *err) CPAM_CHECK;

/*
 * The raw values checked against each other, and put into raw->settings in the form the programs
 * use.  Errors are CPAM_USAGE and begin with the file (and line, where one can be named).
 */
enum cpam_status settings_finish(struct settings_raw *raw, struct arena *arena,
                                 struct cpam_err *err) CPAM_CHECK;

#endif
