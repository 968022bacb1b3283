package stages

import (
	"errors"
	"fmt"

	"github.com/keyward/keyward/bench/internal/fleet"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// caller makes the calls of one user after the other, to one Keyward.
type caller struct {
	address string
	users   []*user
}

// user has a passkey on each of two devices, the second of which is made by the calls.
type user struct {
	id, handle    string
	first, second *authenticator.Device
	answer        string // to the options that the last start gave
	other         string // the user that the calls make last
}

// kinds are the calls, in an order in which each can follow those before it. Only call is measured; then is the user's own work.
var kinds = []struct { //nolint:gochecknoglobals // a table
	name string
	call func(*caller, *user) error
}{
	{"login start", (*caller).loginStart},
	{"login finish", (*caller).loginFinish},
	{"append start", (*caller).appendStart},
	{"append finish", (*caller).appendFinish},
	{"event", (*caller).event},
	{"user", (*caller).newUser},
	{"identifier", (*caller).newIdentifier},
}

func (c *caller) loginStart(u *user) error {
	var start struct {
		AssertionOptions string `json:"assertionOptions"`
	}
	err := fleet.Post(c.address, fleet.Path, map[string]any{
		"userID": u.id, "processID": "bench-login", "crossDeviceAuthenticationStrategy": "standard",
		"clientInformation": fleet.Client(u.id, u.handle),
	}, &start)
	if err != nil {
		return err
	}
	if start.AssertionOptions == "" {
		return errors.New("no passkey was offered")
	}
	if u.answer, err = u.first.Get(start.AssertionOptions, fleet.Origin); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}

func (c *caller) loginFinish(u *user) error {
	return fleet.Post(c.address, "/v2/passkey/login/finish", map[string]any{
		"userID": u.id, "processID": "bench-login", "assertionResponse": u.answer, "clientInformation": fleet.Client(u.id, u.handle),
	}, nil)
}

func (c *caller) appendStart(u *user) error {
	var start struct {
		AttestationOptions string `json:"attestationOptions"`
	}
	err := fleet.Post(c.address, "/v2/passkey/append/start", map[string]any{
		"userID": u.id, "processID": "bench-append", "username": "bench@example.com", "clientInformation": fleet.Client(u.id, u.handle),
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
	}, &start)
	if err != nil {
		return err
	}
	if u.answer, err = u.second.Create(start.AttestationOptions, fleet.Origin); err != nil {
		return fmt.Errorf("create a passkey: %w", err)
	}
	return nil
}

func (c *caller) appendFinish(u *user) error {
	return fleet.Post(c.address, "/v2/passkey/append/finish", map[string]any{
		"userID": u.id, "processID": "bench-append", "attestationResponse": u.answer, "clientInformation": fleet.Client(u.id, u.handle),
	}, nil)
}

func (c *caller) event(u *user) error {
	return fleet.Post(c.address, "/v2/users/"+u.id+"/passkeyEvents", map[string]any{
		"eventType": "manage-learn-more", "processID": "bench-event",
	}, nil)
}

// newUser makes another user, whom newIdentifier gives a name.
func (c *caller) newUser(u *user) (err error) {
	u.other, err = c.create()
	return err
}

func (c *caller) newIdentifier(u *user) error {
	return fleet.Post(c.address, "/v2/users/"+u.other+"/identifiers", map[string]any{
		"identifierType": "email", "identifierValue": u.other + "@example.com", "status": "verified",
	}, nil)
}

func (c *caller) create() (id string, err error) {
	var made struct {
		UserID string `json:"userID"`
	}
	err = fleet.Post(c.address, "/v2/users", map[string]any{"status": "active", "fullName": "Bench"}, &made)
	return made.UserID, err
}

// settle makes a user with a passkey.
func (c *caller) settle() (*user, error) {
	id, err := c.create()
	if err != nil {
		return nil, err
	}
	u := &user{id: id, first: authenticator.Phone(), second: authenticator.Phone()}
	u.handle, err = fleet.CreatePasskey(c.address, u.id, "", 0, u.first)
	return u, err
}
