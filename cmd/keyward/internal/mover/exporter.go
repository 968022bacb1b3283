package mover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/transfer"
)

// Export is one run of an exporter. It reads what the streams hold, so no service needs to run, and none is slowed down.
type Export struct {
	Project ident.ProjectID
	JS      jetstream.JetStream
	// Done is told now and then how far the output is written.
	Done func(Position) error
}

// Position says where an export stands: everything of the streams up to these places is written. Users that change meanwhile are written
// again; an import takes the first.
type Position struct {
	Users   uint64 `json:"users"`  // stream sequence of the last account
	Events  uint64 `json:"events"` // stream sequence of the last event
	Written int    `json:"written"`
	Total   int    `json:"total"` // records to write, as known so far
}

// told is how many records are written between two calls of Done.
const told = 1000

// Run writes every user of the project, then every event, as JSON Lines.
func (ex Export) Run(ctx context.Context, out io.Writer, from Position) (Position, error) {
	at := from
	accounts := place{
		stream: "KV_" + bus.AccountsBucket, subject: "$KV." + bus.AccountsBucket + "." + string(ex.Project) + ".*", after: &at.Users,
	}
	log, err := eventlog.NewLog(ctx, ex.JS)
	if err != nil {
		return at, err
	}
	users := func(data []byte) (transfer.Record, bool, error) { return ex.userRecord(ctx, log, data) }
	if err := ex.follow(ctx, out, &at, accounts, users); err != nil {
		return at, err
	}
	events := place{stream: bus.EventsStream, subject: bus.EventsPrefix + "." + string(ex.Project) + ".>", after: &at.Events}
	if err := ex.follow(ctx, out, &at, events, eventRecord); err != nil {
		return at, err
	}
	return at, ex.Done(at)
}

// User writes all that is kept of one user: the account, events, login offers, decisions, sessions and webhook deliveries. A user who is
// not there is the fault "userID: does not exist".
func (ex Export) User(ctx context.Context, out io.Writer, user ident.UserID) error {
	bucket, err := ex.JS.KeyValue(ctx, bus.AccountsBucket)
	if err != nil {
		return fmt.Errorf("open accounts: %w", err)
	}
	entry, err := bucket.Get(ctx, string(ex.Project)+"."+string(user))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return account.ErrUnknown
	}
	if err != nil {
		return fmt.Errorf("read the account: %w", err)
	}
	log, err := eventlog.NewLog(ctx, ex.JS)
	if err != nil {
		return err
	}
	record, ok, err := ex.userRecord(ctx, log, entry.Value())
	if err != nil {
		return err
	}
	if !ok {
		return account.ErrUnknown
	}
	if err := writeLine(out, record); err != nil {
		return err
	}
	var at Position
	mine := "." + string(ex.Project) + "." + string(user) + ".>"
	deliveries := bus.WebhookDeliveriesPrefix + "." + string(ex.Project) + ".*." + string(user) + ".>"
	sessions := "$KV." + bus.SessionsBucket + "." + string(ex.Project) + ".*"
	for _, p := range []struct {
		place
		read func([]byte) (transfer.Record, bool, error)
	}{
		{place{stream: bus.EventsStream, subject: bus.EventsPrefix + mine, after: new(uint64)}, eventRecord},
		{place{stream: bus.OffersStream, subject: bus.OffersPrefix + mine, after: new(uint64)}, offerRecord},
		{place{stream: bus.DecisionsStream, subject: bus.DecisionsPrefix + mine, after: new(uint64)}, decisionRecord},
		{place{stream: bus.WebhookDeliveriesStream, subject: deliveries, after: new(uint64)}, deliveryRecord},
		{place{stream: "KV_" + bus.SessionsBucket, subject: sessions, after: new(uint64)}, sessionOf(user)},
	} {
		if err := ex.follow(ctx, out, &at, p.place, p.read); err != nil {
			return err
		}
	}
	return nil
}

// place is a part of a stream to read to its end as it is now.
type place struct {
	stream, subject string
	after           *uint64 // sequence; moved on as messages are written
}

func (ex Export) follow(ctx context.Context, out io.Writer, at *Position, p place, read func([]byte) (transfer.Record, bool, error)) error {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{p.subject}, DeliverPolicy: jetstream.DeliverAllPolicy}
	if *p.after > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, *p.after+1
	}
	consumer, err := ex.JS.OrderedConsumer(ctx, p.stream, config)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.stream, err)
	}
	waiting := consumer.CachedInfo().NumPending
	at.Total += int(waiting)
	if waiting == 0 {
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read %s: %w", p.stream, err)
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read %s: %w", p.stream, err)
		}
		info, err := message.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", p.stream, err)
		}
		// A message that marks a deletion has no value.
		if message.Headers().Get("KV-Operation") == "" {
			if err := ex.write(out, at, message.Data(), read); err != nil {
				return err
			}
		}
		*p.after = info.Sequence.Stream
		if at.Written%told == 0 {
			if err := ex.Done(*at); err != nil {
				return err
			}
		}
		if info.NumPending == 0 {
			return nil
		}
	}
}

func (ex Export) write(out io.Writer, at *Position, data []byte, read func([]byte) (transfer.Record, bool, error)) error {
	record, ok, err := read(data)
	if err != nil || !ok {
		return err
	}
	at.Written++
	return writeLine(out, record)
}

func writeLine(out io.Writer, record transfer.Record) error {
	line, err := transfer.Format(record)
	if err != nil {
		return err
	}
	if _, err := out.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the export: %w", err)
	}
	return nil
}

// userRecord has the account take up what logins say that the log has alone.
func (ex Export) userRecord(ctx context.Context, logins account.Logins, data []byte) (transfer.Record, bool, error) {
	var a account.Account
	if err := json.Unmarshal(data, &a); err != nil {
		return transfer.Record{}, false, fmt.Errorf("decode an account: %w", err)
	}
	if a.Erasing {
		return transfer.Record{}, false, nil
	}
	lacking, err := logins.Logins(ctx, a.Project, a.ID, a.UsedTo)
	if err != nil {
		return transfer.Record{}, false, fmt.Errorf("read the logins of %s: %w", a.ID, err)
	}
	a.TakeUp(lacking)
	user := transfer.Of(a)
	return transfer.Record{User: &user}, true, ex.addStatements(ctx, a, &user)
}

// addStatements adds what the authenticators of passkeys said of themselves, as far as that is kept.
func (ex Export) addStatements(ctx context.Context, a account.Account, user *transfer.User) error {
	for i := range user.Credentials {
		c := &user.Credentials[i]
		if said := a.Credentials[i].Attestation; said == nil || !said.Kept {
			continue
		}
		bucket, err := ex.JS.KeyValue(ctx, bus.AttestationsBucket)
		if errors.Is(err, jetstream.ErrBucketNotFound) {
			return nil // of an earlier version
		}
		if err != nil {
			return fmt.Errorf("open attestations: %w", err)
		}
		entry, err := bucket.Get(ctx, string(a.Project)+"."+string(a.ID)+"."+string(c.ID))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the attestation of %s: %w", c.ID, err)
		}
		var kept struct{ Object, ClientDataHash []byte }
		if err := json.Unmarshal(entry.Value(), &kept); err != nil {
			return fmt.Errorf("decode the attestation of %s: %w", c.ID, err)
		}
		c.Attestation.Object, c.Attestation.ClientDataHash = kept.Object, kept.ClientDataHash
	}
	return nil
}

func eventRecord(data []byte) (transfer.Record, bool, error) {
	var e event.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return transfer.Record{}, false, fmt.Errorf("decode an event: %w", err)
	}
	// What is left of a deleted user belongs to nobody who moves.
	return transfer.Record{Event: &e}, e.Type != event.UserDeleted, nil
}

// offerRecord leaves out the challenge that a login offer carries: it is the server's, and nothing about the user.
func offerRecord(data []byte) (transfer.Record, bool, error) {
	var e event.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return transfer.Record{}, false, fmt.Errorf("decode a login offer: %w", err)
	}
	raw, err := json.Marshal(e)
	if err != nil {
		return transfer.Record{}, false, fmt.Errorf("encode a login offer: %w", err)
	}
	return transfer.Record{Offer: raw}, true, nil
}

func decisionRecord(data []byte) (transfer.Record, bool, error) {
	return transfer.Record{Decision: data}, true, nil
}

func deliveryRecord(data []byte) (transfer.Record, bool, error) {
	return transfer.Record{Delivery: data}, true, nil
}

func sessionOf(user ident.UserID) func([]byte) (transfer.Record, bool, error) {
	return func(data []byte) (transfer.Record, bool, error) {
		var s struct {
			User ident.UserID `json:"user"`
		}
		if err := json.Unmarshal(data, &s); err != nil {
			return transfer.Record{}, false, fmt.Errorf("decode a session: %w", err)
		}
		return transfer.Record{Session: data}, s.User == user, nil
	}
}
