// Package admissible says which events callers may send. It is pure.
package admissible

import (
	"fmt"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
)

// Check reports every field at fault of an event that a caller sends now.
func Check(body rest.PasskeyEventCreateReq, now time.Time) error {
	var faults []fault.FieldError
	if !event.Type(body.EventType).OnWire() {
		faults = append(faults, fault.FieldError{Field: "eventType", Message: "is no type that callers may send"})
	}
	if body.Expires != nil {
		end := time.Unix(*body.Expires, 0) // times the factor to milliseconds what is far below zero would be above it
		if *body.Expires > 0 {
			end = time.UnixMilli(event.Event{Expires: *body.Expires}.ExpiresMs())
		}
		switch {
		case !end.After(now):
			faults = append(faults, fault.FieldError{Field: "expires", Message: past(*body.Expires, end)})
		case end.UTC().Year() > lastYear:
			faults = append(faults, fault.FieldError{Field: "expires", Message: "must be before the year 10000; what has no end has no expires"})
		}
	}
	if Unproven(body) != nil && !event.Type(body.EventType).AnswersLogin() {
		faults = append(faults, fault.FieldError{Field: "proven", Message: "only a type that begins with login- can be without a proof"})
	}
	if len(faults) > 0 {
		return fault.Fields(faults...)
	}
	return nil
}

// lastYear is the last that can be written as a time of RFC 3339.
const lastYear = 9999

// past says of an end that is over what it was read as: most are durations that were taken for one.
func past(said int64, at time.Time) string {
	return fmt.Sprintf("must be a Unix time in the future, in seconds or milliseconds; %d is %s", said, at.UTC().Format(time.RFC3339))
}

// Unproven returns what an event says of its proof: false, or nothing.
func Unproven(body rest.PasskeyEventCreateReq) *bool {
	if body.Proven == nil || *body.Proven {
		return nil
	}
	return body.Proven
}
