package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/secret"
)

// Operators manages the operators of a running server. Close it.
type Operators struct {
	store   *operator.Store
	told    *audit.Told
	command string
	closes  func()
}

// OpenOperators connects for a command. The error says how to name a server if none is found.
func OpenOperators(ctx context.Context, server Server, command string) (*Operators, error) {
	js, closes, err := JetStream(server, "keyward operator")
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(ctx, bus.OperatorsBucket)
	var store *operator.Store
	if err == nil {
		store, err = operator.NewStore(ctx, bucket, slog.New(slog.DiscardHandler))
	}
	if err != nil {
		closes()
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil, errors.New("that NATS holds no operators yet; start this version of keyward serve with it, or keyward provision, first")
		}
		return nil, fmt.Errorf("open operators: %w", err)
	}
	o := &Operators{
		store: store, told: audit.NewRecorder(js, audit.Actor{Kind: audit.Command, Name: command}, time.Now).Tell(), command: command,
		closes: closes,
	}
	store.TellTo(o.told)
	return o, nil
}

// Create makes an operator and returns the token, which nobody can read again.
func (o *Operators) Create(ctx context.Context, w operator.Wanted, now time.Time) (operator.Operator, secret.Text, error) {
	w.By = o.command
	made, token, err := operator.New(w, now)
	if err == nil {
		err = o.store.Create(ctx, made)
	}
	if err != nil {
		return operator.Operator{}, "", fmt.Errorf("create an operator: %w", Plain(err))
	}
	return made, secret.Text(token), nil
}

// List returns every operator, the oldest first.
func (o *Operators) List() []operator.Operator { return o.store.List() }

// Revoke removes an operator; the token stops working at once. The last admin is removed only with force.
func (o *Operators) Revoke(ctx context.Context, id string, force bool, now time.Time) (operator.Operator, error) {
	revoke := func() (operator.Operator, error) { return o.store.Revoke(ctx, ident.OperatorID(id), now) }
	if force {
		revoke = func() (operator.Operator, error) { return o.store.RevokeAnyway(ctx, ident.OperatorID(id)) }
	}
	gone, err := revoke()
	if err != nil {
		return operator.Operator{}, fmt.Errorf("revoke %s: %w", id, Plain(err))
	}
	return gone, nil
}

// Passkeys returns those of an operator, the oldest first.
func (o *Operators) Passkeys(ctx context.Context, id string) ([]operator.Passkey, error) {
	found, err := o.store.Find(ctx, ident.OperatorID(id))
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", id, Plain(err))
	}
	return found.Passkeys, nil
}

// RemovePasskey removes a passkey of an operator, and ends the sessions that it began.
func (o *Operators) RemovePasskey(ctx context.Context, id, passkey string) error {
	if err := o.store.RemovePasskey(ctx, ident.OperatorID(id), ident.CredentialID(passkey)); err != nil {
		return fmt.Errorf("remove %s of %s: %w", passkey, id, Plain(err))
	}
	return nil
}

// Unrecorded returns nil if all that was changed is in the stream of security events, and otherwise audit.ErrUnrecorded.
func (o *Operators) Unrecorded() error { return o.told.Err() }

// Close ends the connection.
func (o *Operators) Close() { o.closes() }
