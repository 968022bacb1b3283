package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// ErrNoScenario says that a suite has no scenario of a name.
var ErrNoScenario = errors.New("there is no scenario of that name")

// Facts are what detection makes of a client, and of what happened before.
type Facts struct {
	Facts    *facts.Facts   `json:"facts"`
	Tags     []string       `json:"detectionTags"`
	Passkeys []detect.Reach `json:"passkeys"` // in the account's order

	// What the client was taken for, and by what: names as they were said, before the tables.
	Client recognition.Identity `json:"client"`
	// Entries of the parameters' lists that name the client.
	Lists []recognition.Match `json:"lists,omitempty"`
}

// Flat returns the facts by their paths.
func (f *Facts) Flat() map[string]any { return f.Facts.Flat() }

// Alone is the suite of one scenario that knows nothing but its clock: a login in an environment without history, of an account without
// passkeys.
func Alone(now time.Time) Suite {
	s := written.Scenario{Name: "alone", Action: Login, Now: now}
	s.Question.Account = &account.Account{Status: account.StatusActive}
	return Suite{scenarios: []written.Scenario{s}}
}

// Facts returns what detection finds in the scenario of the name, or in the only one if the name is empty; a client that is given takes the
// place of the scenario's own. The error wraps ErrNoScenario if there is none.
func (b *Bundle) Facts(ctx context.Context, suite Suite, name string, client *rest.ClientInformation) (*Facts, error) {
	at := -1
	for i := range suite.scenarios {
		if suite.scenarios[i].Name == name || (name == "" && suite.Len() == 1) {
			at = i
		}
	}
	if at < 0 {
		return nil, fmt.Errorf("%q: %w", name, ErrNoScenario)
	}
	one, err := b.known(Suite{scenarios: suite.scenarios[at : at+1]})
	if err != nil {
		return nil, err
	}
	engines, err := b.engines(one)
	if err != nil {
		return nil, err
	}
	s := one.scenarios[0]
	if client != nil {
		s.Question.Client = *client
	}
	actual, basis, err := ask(ctx, &s, engines[0])
	if err != nil {
		return nil, err
	}
	tags, _ := actual[written.KeyDetectionTags].([]string)
	k := engines[0].Knowledge(s.Question.Project)
	return &Facts{
		Facts: basis.Facts, Tags: tags, Passkeys: basis.Found.Reaches(k), Client: basis.Found.Client.Identity(),
		Lists: k.Clients.Matches(basis.Found.Client.Listed, s.Question.Client, whole(s.Question.Client.RemoteAddress), s.Question.Environment),
	}, nil
}

// whole is an address as the network of it alone; an invalid one of none.
func whole(text string) netip.Prefix {
	from, ok := address.Client(text)
	if !ok {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(from, from.BitLen())
}
