// Package challenges is the room of the WebAuthn challenges that callers look at: it lists those of a user and moves their status forward.
// It promises that one which is moved away from pending is not finished any more. It touches the buckets of accounts and challenges.
package challenges

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/passkeys/reply"
)

// Service is the room.
type Service struct {
	accounts   *account.Store
	challenges *challenge.Store
	now        func() time.Time
}

// New returns the room.
func New(accounts *account.Store, challenges *challenge.Store, now func() time.Time) *Service {
	return &Service{accounts: accounts, challenges: challenges, now: now}
}

// ListChallenges implements service.Users. A pending challenge that has expired is listed as pending: its expires says the rest.
func (s *Service) ListChallenges(ctx context.Context, req service.ForUser[service.List]) (rest.PasskeyChallengeList, error) {
	a, _, err := s.accounts.Stored(ctx, req.Project, req.User)
	if err != nil {
		return rest.PasskeyChallengeList{}, err
	}
	records, err := s.challenges.List(ctx, &a, s.now())
	if err != nil {
		return rest.PasskeyChallengeList{}, err
	}
	slices.SortFunc(records, func(a, b challenge.Record) int { return cmp.Compare(a.ID, b.ID) })
	page, paging, err := listing.Apply(records, req.Body, challengeFields(), "created:desc")
	if err != nil {
		return rest.PasskeyChallengeList{}, err
	}
	challenges := make([]rest.PasskeyChallenge, len(page))
	for i, r := range page {
		challenges[i] = reply.Challenge(r)
	}
	return rest.PasskeyChallengeList{PasskeyChallenges: challenges, Paging: rest.Paging(paging)}, nil
}

func challengeFields() map[string]listing.Field[challenge.Record] {
	return map[string]listing.Field[challenge.Record]{
		"userID":    listing.String(func(r challenge.Record) string { return string(r.User) }),
		"projectID": listing.String(func(r challenge.Record) string { return string(r.Project) }),
		"status":    listing.String(func(r challenge.Record) string { return string(r.Status) }),
		"type":      listing.String(func(r challenge.Record) string { return string(r.Type) }),
		"created":   listing.Time(func(r challenge.Record) int64 { return r.Created }),
	}
}

// UpdateChallenge implements service.Users. A status only moves forward, from pending to completed to consumed; away from pending, the
// challenge cannot be finished any more.
func (s *Service) UpdateChallenge(ctx context.Context, req service.ForUser[patch.Challenge]) (rest.PasskeyChallenge, error) {
	if !req.Body.Status.Valid() {
		return rest.PasskeyChallenge{}, fault.Field("status", "must be a valid value")
	}
	a, _, err := s.accounts.Stored(ctx, req.Project, req.User)
	if err != nil {
		return rest.PasskeyChallenge{}, err
	}
	r, err := s.challenges.Advance(ctx, &a, req.Body.ID, req.Body.Status, s.now())
	if err != nil {
		return rest.PasskeyChallenge{}, err
	}
	return reply.Challenge(r), nil
}
