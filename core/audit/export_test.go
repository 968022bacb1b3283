package audit

import "github.com/prometheus/client_golang/prometheus"

// QueueLength is how many events may wait.
const QueueLength = queueLength

// Lost counts what was dropped.
func (q *Queue) Lost() prometheus.Counter { return q.lost }
