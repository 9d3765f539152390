/*
 * suite.c - main() of every unit test program.
 */
#include "suite.h"

int
main(void)
{
    SRunner *runner;

    /* Check's own 4 s end a test on a busy machine that has done nothing wrong */
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    setenv("CK_TIMEOUT_MULTIPLIER", "3", 0);
    runner = srunner_create(suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
