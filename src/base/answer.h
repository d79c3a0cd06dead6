/* What was found out, or not yet: for questions that many may ask. Zeroed memory has not asked. */
#ifndef OQ_BASE_ANSWER_H
#define OQ_BASE_ANSWER_H

enum oq_answer { OQ_NOT_ASKED, OQ_NO, OQ_YES };

#endif
