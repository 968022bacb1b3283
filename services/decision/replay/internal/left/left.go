// Package left reads which logins by other means a caller has reported of a user, by whom login offers were left. It touches the log of
// events, and remembers what it has read: of a user who logs in meanwhile it may not know the last ones.
package left

import (
	"context"
	"fmt"
	"sync"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/memo"
)

// users are how many are remembered.
const users = 4096

// Logins is safe for concurrent use.
type Logins struct {
	js    jetstream.JetStream
	known *memo.Memo // []event.Event by project and user

	mu     sync.Mutex
	stream *direct.Stream // nil = it was not read yet
}

// New returns what knows none yet.
func New(js jetstream.JetStream) *Logins { return &Logins{js: js, known: memo.New(users, nil)} }

// Of returns those of a user, the oldest first.
func (l *Logins) Of(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	whose := string(project) + "." + string(user)
	if all, known := l.known.Get([]byte(whose)).([]event.Event); known {
		return all, nil
	}
	stream, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	var all []event.Event
	subject := bus.EventsPrefix + "." + whose + "." + string(event.AuthLogin)
	err = stream.Each(ctx, subject, direct.Start{}, func(m direct.Message) (bool, error) {
		var e event.Event
		if err := jsonv2.Unmarshal(m.Data, &e); err != nil {
			return false, fmt.Errorf("decode event: %w", err)
		}
		if e.OtherMeans() {
			all = append(all, e)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the logins of %s: %w", user, err)
	}
	l.known.Put([]byte(whose), all)
	return all, nil
}

func (l *Logins) open(ctx context.Context) (*direct.Stream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream != nil {
		return l.stream, nil
	}
	stream, err := direct.Open(ctx, l.js, bus.EventsStream)
	if err != nil {
		return nil, err
	}
	l.stream = stream
	return stream, nil
}
