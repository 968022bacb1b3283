package naming

import (
	"cmp"
	"encoding/json"
	"slices"
)

// Arm is the side of an experiment that a user is on.
type Arm string

// The arms. Control is the behaviour without the experiment.
const (
	Treatment Arm = "treatment"
	Control   Arm = "control"
)

// DeviceLocalPasskey is the experiment whose share is the parameter deviceLocalTreatmentShare: whether a passkey of this device is
// offered after a login with one of a password manager.
const DeviceLocalPasskey = "device-local-platform-passkey"

// Assignment says which arm of an experiment a user is in.
type Assignment struct {
	Experiment string
	Arm        Arm
}

// Assignments are a user's arms of all experiments, sorted by experiment. The JSON form is an object from experiment to arm.
type Assignments []Assignment

// MarshalJSON implements json.Marshaler.
func (a Assignments) MarshalJSON() ([]byte, error) {
	arms := make(map[string]Arm, len(a))
	for _, one := range a {
		arms[one.Experiment] = one.Arm
	}
	return json.Marshal(arms)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Assignments) UnmarshalJSON(raw []byte) error {
	var arms map[string]Arm
	if err := json.Unmarshal(raw, &arms); err != nil {
		return err
	}
	*a = make(Assignments, 0, len(arms))
	for name, arm := range arms {
		*a = append(*a, Assignment{Experiment: name, Arm: arm})
	}
	slices.SortFunc(*a, func(x, y Assignment) int { return cmp.Compare(x.Experiment, y.Experiment) })
	return nil
}
