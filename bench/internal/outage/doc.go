// Package outage measures what is left of Keyward's service while parts of it hang, are killed or are restarted, and how much memory it
// takes when it is used for long. It starts whole installations as users run them, with several of each service where that matters, calls
// them without a pause, and judges by what the callers got. It touches processes that it started itself and nothing else.
package outage

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyward/keyward/bench/internal/fleet"
)

var errNoOutage = errors.New("there is no such outage")

// Measure measures what the settings ask for.
func Measure(ctx context.Context, of *fleet.Fleet) error {
	switch of.Outage {
	case "hung":
		return Hung(ctx, of)
	case "leaders":
		return Leaders(ctx, of)
	case "restarts":
		return Restarts(ctx, of)
	case "soak":
		return Soak(ctx, of, of.CallRate)
	default:
		return fmt.Errorf("%w: %s", errNoOutage, of.Outage)
	}
}
