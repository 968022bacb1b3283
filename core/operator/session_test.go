package operator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/core/operator"
)

// twoStores are of one bucket.
func twoStores(t *testing.T) (here, there *operator.Store) {
	t.Helper()
	bucket := openBucket(t, openBus(t))
	return open(t, bucket), open(t, bucket)
}

func create(t *testing.T, s *operator.Store, name string, lifetime time.Duration) (operator.Operator, string) {
	t.Helper()
	o, token := made(t, name, lifetime)
	if err := s.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o, token
}

func TestASessionIsItsOperatorsUntilEitherEnds(t *testing.T) {
	t.Parallel()
	s, other := twoStores(t)
	ada, token := create(t, s, "Ada", time.Hour)
	text, until, err := s.Open(t.Context(), ada, 8*time.Hour, now)
	if err != nil || !until.Equal(now.Add(time.Hour)) {
		t.Fatalf("it lasts until %s, beyond its operator: %v", until, err)
	}
	for name, at := range map[string]*operator.Store{"here": s, "elsewhere": other} {
		if got, err := at.Resume(t.Context(), text, now); err != nil || got.ID != ada.ID || got.Session != nil {
			t.Errorf("%s it is of %+v, %v", name, got, err)
		}
		if _, err := at.Authenticate(t.Context(), text, now); !errors.Is(err, operator.ErrWrong) {
			t.Errorf("%s it passes for a token: %v", name, err)
		}
		if _, err := at.Resume(t.Context(), token, now); !errors.Is(err, operator.ErrSessionOver) {
			t.Errorf("%s a token passes for it: %v", name, err)
		}
		if _, err := at.Resume(t.Context(), text, now.Add(time.Hour)); !errors.Is(err, operator.ErrSessionOver) {
			t.Errorf("%s it lasts on: %v", name, err)
		}
	}
	if list := s.List(); len(list) != 1 {
		t.Errorf("the operators are %v", list)
	}
	if err := s.End(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), text, now); !errors.Is(err, operator.ErrSessionOver) {
		t.Errorf("it lasts on after its end: %v", err)
	}
	again, _, err := s.Open(t.Context(), ada, time.Minute, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), ada.ID, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Resume(t.Context(), again, now); !errors.Is(err, operator.ErrSessionOver) {
		t.Errorf("it outlives its operator: %v", err)
	}
}

func TestAnOperatorHasSoManySessionsAndNoMore(t *testing.T) {
	t.Parallel()
	s, _ := twoStores(t)
	ada, _ := create(t, s, "Ada", 0)
	var first string
	for i := range 21 {
		text, _, err := s.Open(t.Context(), ada, time.Hour+time.Duration(i)*time.Second, now)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = text
		}
	}
	if _, err := s.Resume(t.Context(), first, now); !errors.Is(err, operator.ErrSessionOver) {
		t.Errorf("the first is there still: %v", err)
	}
}
