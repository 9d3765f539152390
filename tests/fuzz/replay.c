/*
 * replay.c - main() of a fuzz target in the ordinary build: every file of a folder, as TAP.
 */
#include "fuzz.h"

#include <dirent.h>

enum
{
    INPUT_MAX = 1 << 20,
    PATH_SIZE = 4096
};

static int
replay(const char *path)
{
    FILE *file = fopen(path, "rbe");
    CPAM_AUTO(free) uint8_t *data = malloc(INPUT_MAX);
    CPAM_AUTO(free) uint8_t *exact = NULL;
    size_t size;

    if (file == NULL || data == NULL)
        return 1;
    size = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    exact = malloc(size > 0 ? size : 1);
    if (exact == NULL)
        return 1;
    memcpy(exact, data, size);
    return LLVMFuzzerTestOneInput(exact, size);
}

int
main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    struct dirent *entry;
    char path[PATH_SIZE];
    unsigned count = 0, failed = 0;

    if (folder == NULL)
        return 2;
    while ((entry = readdir(folder)) != NULL)
    {
        int bad;

        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%.3000s/%s", argv[1], entry->d_name);
        bad = replay(path);
        printf("%sok %u - %s\n", bad != 0 ? "not " : "", ++count, entry->d_name);
        failed += bad != 0;
    }
    closedir(folder);
    printf("1..%u\n", count);
    return failed == 0 && count > 0 ? 0 : 1;
}
