package gateway_test

import (
	"context"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// RegisterPasskey returns options whose challenge is the ID of the user.
func (r *recorded) RegisterPasskey(ctx context.Context, q service.ForUser[service.PasskeyRegistration]) (service.PendingPasskey, error) {
	return service.PendingPasskey{
		Change: service.Change{Sequence: 7, ChangedMs: 1_800_000_000_000, CreatedMs: 1_800_000_000_000}, ID: "cre-1",
		Options: []byte(`{"publicKey":{"challenge":"` + string(q.User) + `"}}`), Decision: "dec-4", PolicyRevision: "rev-a",
	}, r.record(ctx, "RegisterPasskey", q)
}

func (r *recorded) VerifyPasskey(ctx context.Context, q service.ForUser[service.PasskeyVerification]) (service.Change, error) {
	return service.Change{Sequence: 8, ChangedMs: 1_800_000_001_000, CreatedMs: 1_800_000_000_000}, r.record(ctx, "VerifyPasskey", q)
}

func (r *recorded) CreatePasskeyCode(ctx context.Context, q service.ForUser[service.PasskeyCodeRequest]) (service.PasskeyCodeCreated, error) {
	return service.PasskeyCodeCreated{Change: service.Change{Sequence: 6}, Code: &service.PasskeyCode{ID: "cod-1", Code: "secret"}}, r.record(ctx, "CreatePasskeyCode", q)
}

func (r *recorded) ListPasskeys(ctx context.Context, q service.ForUser[service.Empty]) (service.PasskeyList, error) {
	return service.PasskeyList{Passkeys: []service.Passkey{{ID: "cre-1", Name: "of " + string(q.User)}}, Sequence: 8, ChangedMs: 1_800_000_001_000}, r.record(ctx, "ListPasskeys", q)
}

func (r *recorded) RemovePasskey(ctx context.Context, q service.ForUser[ident.CredentialID]) (service.Change, error) {
	return service.Change{Sequence: 9, ChangedMs: 1_800_000_002_000, CreatedMs: 1_800_000_000_000}, r.record(ctx, "RemovePasskey", q)
}
