/*
 * trial.h - is it worth trying to compress the next frame of a file, or does nothing of it shrink?
 *
 * What is compressed or encrypted already costs as much to try as anything else and gains nothing.  So
 * after some frames in a row that did not shrink a file's next frames are stored as they are; then one is
 * tried again, since a file may change its nature on the way.  No state but this small one, which belongs
 * to one file (or range of a large one); zeroed it is a new one.
 */
#ifndef CPAM_COMPRESS_TRIAL_H
#define CPAM_COMPRESS_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

enum
{
    TRIAL_FRAMES = 2,      /* in a row that did not shrink, before any is spared */
    TRIAL_SPARED = 7,      /* frames that are then stored as they are, before one is tried again */
    TRIAL_SPARED_MAX = 31, /* as it goes on: twice as many and one more each time */
    TRIAL_GAIN = 32        /* a frame shrinks if it loses one part of so many */
};

struct codec_trial
{
    unsigned stubborn; /* frames in a row that were tried and did not shrink */
    unsigned spare;    /* frames still to be stored as they are */
};

/* Of the next frame, once: is it to be tried? */
bool codec_trial_wanted(struct codec_trial *trial);
/* What came of one that was tried: size bytes became packed. */
void codec_trial_note(struct codec_trial *trial, size_t size, size_t packed);

#endif
