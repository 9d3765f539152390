/*
 * control_load.c - reads pg_control again while it is being written.
 */
#include "io/control_load.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "io/file.h"

enum
{
    LOAD_TRIES = 25,
    LOAD_PAUSE = 20 * 1000 /* us between them */
};

enum cpam_status
control_load(struct io *io, const char *data_dir, uint8_t bytes[CONTROL_FILE_SIZE],
             struct control *out, struct cpam_err *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/global/pg_control", data_dir) >= (int) sizeof(path))
        return cpam_fail(err, CPAM_INVALID, ENAMETOOLONG, "could not open \"%.200s...\"", data_dir);
    for (int tries = 1;; tries++)
    {
        CPAM_AUTO(cpam_buf_clear) struct cpam_buf data = {0};
        enum cpam_status status = file_read_all(io, path, CONTROL_FILE_SIZE, &data, err);

        if (status == CPAM_NOT_FOUND || (status == CPAM_IO && err->sys == ENOTDIR))
            return cpam_fail(err, CPAM_NOT_FOUND, err->sys,
                             "\"%s\" is not a data directory: it has no global/pg_control",
                             data_dir);
        CPAM_TRY(status);
        status = control_parse(data.data, data.size, out, err);
        if (status == CPAM_OK)
        {
            if (bytes == NULL)
                return CPAM_OK;
            if (data.size != CONTROL_FILE_SIZE)
                return cpam_fail(err, CPAM_INVALID, 0, "\"%s\" has %zu bytes", path, data.size);
            memcpy(bytes, data.data, CONTROL_FILE_SIZE);
            return CPAM_OK;
        }
        cpam_err_prefix(err, "\"%s\"", path);
        if (status != CPAM_CORRUPT || tries == LOAD_TRIES)
            return status;
        io->ops->sleep(io, LOAD_PAUSE);
    }
}
