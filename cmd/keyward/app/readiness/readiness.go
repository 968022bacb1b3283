// Package readiness says what the state of services means for whether a process is ready, in the words of operators. It is pure.
package readiness

import (
	"errors"
	"fmt"

	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/decision"
)

// Policy says which policy answers. A refused change is for an operator to see: the policy that answers is not the one in the files.
func Policy(status decision.PolicyStatus) telemetry.Status {
	answering := "revision " + status.Revision
	if status.Content != status.Revision {
		answering += " of content " + status.Content
	}
	degraded := func(what string, err error) telemetry.Status {
		return telemetry.Status{State: telemetry.Degraded, Detail: fmt.Sprintf("%s answers; %s: %s", answering, what, err)}
	}
	switch {
	case status.Lapsed:
		return telemetry.Status{State: telemetry.Down, Detail: fmt.Sprintf(
			"the safe defaults answer: %s is not what is live, and has not been for longer than policy_max_age", answering,
		)}
	case status.Refused != nil && status.Again:
		return degraded("the check of content "+status.RefusedOf+" did not get through, and is made again", status.Refused)
	case status.Refused != nil && status.RefusedOf != "":
		return degraded("refused content "+status.RefusedOf, status.Refused)
	case status.Refused != nil:
		return degraded("refused", status.Refused)
	case status.Behind != nil:
		return degraded("behind", status.Behind)
	case status.Failed != nil:
		return degraded("a row failed, and the safe default took its place", status.Failed)
	}
	return telemetry.Status{State: telemetry.OK, Detail: answering}
}

// Files says whether the operator's files beside the policy are used as they are now.
func Files(wrong []error) telemetry.Status {
	if len(wrong) == 0 {
		return telemetry.Status{State: telemetry.OK}
	}
	return telemetry.Status{State: telemetry.Degraded, Detail: "what was read before is used: " + errors.Join(wrong...).Error()}
}

// Metadata says whether what is known of models of authenticators is as it should be.
func Metadata(wrong error) telemetry.Status {
	if wrong == nil {
		return telemetry.Status{State: telemetry.OK}
	}
	return telemetry.Status{State: telemetry.Degraded, Detail: wrong.Error()}
}
