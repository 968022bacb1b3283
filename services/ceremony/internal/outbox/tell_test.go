package outbox

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// slow is a log that takes nothing before it is let, or fails.
type slow struct {
	*installation
	let   chan struct{}
	asked chan struct{}
	away  bool
}

func (l *slow) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	if e.Type != event.AppendCompleted {
		l.asked <- struct{}{}
		<-l.let
	}
	if l.away {
		return service.Appended{}, fault.Internal(context.DeadlineExceeded)
	}
	return l.installation.Append(ctx, e)
}

func (l *slow) Conclude(ctx context.Context, c service.Conclusion) (service.Concluded, error) {
	_, err := l.installation.Append(ctx, c.Event)
	return service.Concluded{}, err
}

func behind(t *testing.T) (*Store, *slow) {
	t.Helper()
	i := open(t)
	s := i.instance(t, true)
	l := &slow{installation: i, let: make(chan struct{}), asked: make(chan struct{}, 10)}
	s.events = l
	s.telling.run(true)
	return s, l
}

func TestWhatDecisionsReadComesAfterWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	ref := account.Ref{Project: project, User: user}
	for name, next := range map[string]func(ctx context.Context, s *Store, e event.Event) error{
		"an event": func(ctx context.Context, s *Store, e event.Event) error {
			_, err := s.Append(ctx, e)
			return err
		},
		"a login": func(ctx context.Context, s *Store, e event.Event) error {
			_, err := s.Conclude(ctx, service.Conclusion{Event: e})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, l := behind(t)
			first, err := change(t.Context(), s, "Ada")
			if err != nil {
				t.Fatal(err)
			}
			second, err := change(t.Context(), s, "Bob") // while the log takes nothing yet
			if err != nil {
				t.Fatal(err)
			}
			<-l.asked
			after := event.Event{ID: ident.NewEventID(), Project: project, User: user, Type: event.AppendCompleted}
			short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := next(short, s, after); err == nil {
				t.Error("it was appended first")
			}
			if err := s.Caught(short, account.Ref{Project: project, User: "usr-2"}); err != nil {
				t.Errorf("others wait: %v", err)
			}
			close(l.let)
			if err := next(t.Context(), s, after); err != nil {
				t.Fatal(err)
			}
			if want := []ident.EventID{first.ID, second.ID, after.ID}; !slices.Equal(l.log, want) {
				t.Errorf("in the log: %v, want %v", l.log, want)
			}
			if s.telling.last(ref) != nil {
				t.Error("something is on its way still")
			}
		})
	}
}

func TestAChangeThatCannotBeToldIsToldWithTheNext(t *testing.T) {
	t.Parallel()
	s, l := behind(t)
	close(l.let)
	l.away = true
	first, err := change(t.Context(), s, "Ada")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Caught(t.Context(), account.Ref{Project: project, User: user}); err != nil {
		t.Fatal(err)
	}
	if left := l.account(t).Unannounced; len(l.log) != 0 || len(left) != 1 || left[0].ID != first.ID {
		t.Fatalf("left: %+v", left)
	}
	l.away = false
	second, err := change(t.Context(), s, "Bob")
	if err != nil {
		t.Fatal(err)
	}
	s.telling.run(false)
	if want := []ident.EventID{first.ID, second.ID}; !slices.Equal(l.log, want) {
		t.Errorf("in the log: %v, want %v", l.log, want)
	}
}

func TestWhoMakesAChangeWaitsForWhatDecisionsRead(t *testing.T) {
	t.Parallel()
	s, l := behind(t)
	told, changed := s.NewEvent(project, user, event.EnvironmentForgotten), make(chan error, 1)
	go func() {
		_, err := s.Change(t.Context(), told, func(*account.Account) error { return nil })
		changed <- err
	}()
	<-l.asked
	select {
	case err := <-changed:
		close(l.let)
		t.Fatalf("it is not waited for: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	close(l.let)
	if err := <-changed; err != nil || !slices.Equal(l.log, []ident.EventID{told.ID}) {
		t.Errorf("in the log: %v, %v", l.log, err)
	}
}

func TestWithManyOnTheirWayWhoMakesAChangeWaits(t *testing.T) {
	t.Parallel()
	s, l := behind(t)
	for range maxTelling {
		s.telling.under[account.Ref{Project: "pro-2", User: ident.NewUserID()}] = make(chan struct{})
	}
	close(l.let)
	tidings, err := change(t.Context(), s, "Ada")
	if err != nil || !slices.Equal(l.log, []ident.EventID{tidings.ID}) {
		t.Errorf("in the log: %v, %v", l.log, err)
	}
}
