/*
 * push_gap.h - giving WAL up on purpose (wal.push.queue_max, requirements row P12).
 *
 * Only when the operator has allowed it, only a segment, only because its repositories could not
 * take it in time, and only after the gap is recorded in as many required repositories as
 * wal.push.acknowledge asks for: whoever recovers is told, and does not find out.
 */
#ifndef CPAM_ARCHIVE_PUSH_GAP_H
#define CPAM_ARCHIVE_PUSH_GAP_H

#include "push_direct.h"

/*
 * After the push has failed, with its failure in *err.  waiting: from push_queue.h.  CPAM_OK: the gap is recorded and PostgreSQL
 * may forget the segment; it is logged as an error.  Otherwise the failure is the push's own.
 */
enum cpam_status push_gap_give_up(struct push_request *request, uint64_t waiting,
                                  struct cpam_err *err) CPAM_CHECK;

#endif
