package facts

import (
	"github.com/keyward/keyward/services/decision/internal/given"
	"github.com/keyward/keyward/services/decision/internal/naming"
)

// What bundles name.
type (
	Label       = naming.Label
	Labels      = naming.Labels
	Velocity    = naming.Velocity
	Tally       = naming.Tally
	Arm         = naming.Arm
	Assignment  = naming.Assignment
	Assignments = naming.Assignments
	Context     = given.Context
)

// The arms of an experiment, and the one experiment that is not of the bundle.
const (
	Treatment          = naming.Treatment
	Control            = naming.Control
	DeviceLocalPasskey = naming.DeviceLocalPasskey
)

// NewLabels returns the declared names, with those that an account has.
func NewLabels(declared, has []string) Labels { return naming.NewLabels(declared, has) }

// AppendText appends a string as encoding/json would write it.
func AppendText(to []byte, s string) []byte { return naming.AppendText(to, s) }
