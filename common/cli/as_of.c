/*
 * as_of.c - the moment out of --as-of.
 */
#include "cli/as_of.h"

#include "base/text.h"

enum cpam_status
as_of_set(struct io *io, const char *text, struct settings *settings, struct cpam_err *err)
{
    int64_t moment = 0;

    if (text == NULL)
        return CPAM_OK;
    enum cpam_status status = text_parse_time(text, &moment, err);
    if (status == CPAM_OK && (moment <= 0 || moment > io->ops->now(io)))
        status = cpam_fail(err, CPAM_USAGE, 0, "%s is not in the past", text);
    if (status != CPAM_OK)
    {
        cpam_err_prefix(err, "--as-of");
        return err->status = CPAM_USAGE;
    }
    settings->as_of = moment;
    return CPAM_OK;
}
