/*
 * repository.h - from the configuration to an opened repository.
 *
 * The one place that knows which URL scheme is which store (file:// a directory, s3:// a bucket)
 * and how keys, store and identity come together.  A struct repository owns the keyring, the
 * opener and the repo, in the order in which they depend on each other.
 *
 * The repository's root is <url>/<cluster>/: every key of the store is relative to it.
 */
#ifndef CPAM_CLI_REPOSITORY_H
#define CPAM_CLI_REPOSITORY_H

#include "cli/settings.h"
#include "repo/repo.h"
#include "store/store.h"

struct repository;

/* What the program is going to do with it: decides which key files must be there (keyring_new). */
struct repository_purpose
{
    bool for_write, for_read;
    struct pace *send; /* what is sent is taken from it too; NULL: from the repository's own limit
                          (`bandwidth`) only.  Must outlive the repository. */
    unsigned senders;  /* that share `send`, in all repositories; 0: base.workers */
    bool one_file;     /* is all that is going to be put: a store is asked nothing for later puts */
};

/*
 * Opens `which` (one of settings->repositories): reads the keys, opens the store, proves the
 * identity in repo.json, binds the keyring to it.  settings and io are kept and must outlive *out.
 * Every operation of the store, of this repo and of those made by repo_another(), ends by the
 * deadline.  Errors as keyring_new, the stores and repo_open.  CPAM_NOT_FOUND: there is no repository at the URL yet.
 */
enum cpam_status repository_open(struct io *io, const struct settings *settings,
                                 const struct repository_settings *which,
                                 struct repository_purpose purpose, struct deadline deadline,
                                 struct repository **out, struct cpam_err *err) CPAM_CHECK;

/* For `cpam-repo create`: everything but the identity, which repo_create() makes with
   repository_repo_settings() and repository_keyring(). repository_repo() is NULL. */
enum cpam_status repository_open_new(struct io *io, const struct settings *settings,
                                     const struct repository_settings *which,
                                     struct repository_purpose purpose, struct deadline deadline,
                                     struct repository **out, struct cpam_err *err) CPAM_CHECK;

/* Only a store: no keys are read, no identity is asked for.  The caller frees it. */
enum cpam_status repository_store_open(struct io *io, const struct settings *settings,
                                       const struct repository_settings *which,
                                       struct deadline deadline, struct store **out,
                                       struct cpam_err *err) CPAM_CHECK;

struct repo *repository_repo(struct repository *repository);
struct keyring *repository_keyring(struct repository *repository);
const struct repo_settings *repository_repo_settings(const struct repository *repository);

void repository_free(struct repository *repository);
CPAM_SCOPED(repository_free, struct repository);

#endif
