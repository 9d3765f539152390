/*
 * trial.c - counting frames that did not shrink.
 */
#include "compress/trial.h"

bool
codec_trial_wanted(struct codec_trial *trial)
{
    if (trial->spare == 0)
        return true;
    trial->spare--;
    return false;
}

void
codec_trial_note(struct codec_trial *trial, size_t size, size_t packed)
{
    unsigned spared = TRIAL_SPARED;

    if (packed <= size - size / TRIAL_GAIN && packed < size)
    {
        trial->stubborn = 0;
        return;
    }
    if (++trial->stubborn < TRIAL_FRAMES)
        return;
    for (unsigned i = TRIAL_FRAMES; i < trial->stubborn && spared < TRIAL_SPARED_MAX; i++)
        spared = spared * 2 + 1;
    if (trial->stubborn > TRIAL_FRAMES + TRIAL_SPARED)
        trial->stubborn = TRIAL_FRAMES + TRIAL_SPARED; /* it need not count on */
    trial->spare = spared;
}
