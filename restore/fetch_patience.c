/*
 * fetch_patience.c - a short round for whoever asks again, the configured one for the others.
 */
#include "fetch_patience.h"

enum
{
    SECOND = 1000 * 1000, /* us */
    BRIEF = 30,           /* s, plus the time a segment takes at SLOWEST */
    SLOWEST = 512 * 1024  /* bytes/s */
};

int64_t
fetch_patience(const struct fetch_situation *situation, int64_t timeout, enum fetch_answer unknown)
{
    uint64_t segment = situation->has_control ? situation->control.segment_size : 0;
    int64_t brief = (BRIEF + (int64_t) (segment / SLOWEST)) * SECOND;
    bool short_one = situation->caller == FETCH_CALLER_STANDBY || unknown == FETCH_ANSWER_AGAIN;

    return short_one && brief < timeout ? brief : timeout;
}
