package eventlog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/eventlog/internal/publish"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
)

const (
	maxOffers    = 2 * bus.OffersPerSubject
	maxObserved  = 8192            // offers on their way to the stream; more are waited for
	observeDrain = 5 * time.Second // how long those may take that are left at the end
)

// observed is an offer on its way to the stream, with the trace of its call.
type observed struct {
	event.Offer
	trace string
}

// observe has offers leave in the background while the flow runs.
func (l *Log) observe(registerer prometheus.Registerer) error {
	lost := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "keyward_offers_lost_total",
		Help: "Login offers and denials that were answered and could not be stored in the background.",
	})
	if err := registerer.Register(lost); err != nil {
		return fmt.Errorf("register metrics of offers: %w", err)
	}
	l.offers = flow.New(flow.Config[*observed]{
		JS: l.js, Stream: bus.OffersStream, Most: maxObserved, Drain: observeDrain,
		Render: func(o *observed, into *nats.Msg) { cloudevent.Render(bus.OffersPrefix, &o.Offer, o.trace, into) },
		Lost: func(n int) {
			lost.Add(float64(n))
			l.refuses.Store(true)
		},
	})
	return nil
}

// PublishOffer stores a login-offered or login-denied event; see PublishPending.
func (l *Log) PublishOffer(ctx context.Context, e event.Event) error {
	return l.PublishPending(ctx, event.Offer{Event: e})
}

// PublishPending stores a login offer together with what its ceremony needs to be finished, as one message. If offers leave in the
// background, it is on its way when PublishPending returns, and reads of this log find it; else it is stored. After one was lost each is
// stored before PublishPending returns, until the stream has taken one: a login that cannot be stored is not to be offered. A machine that
// loses power may lose the last of them.
func (l *Log) PublishPending(ctx context.Context, o event.Offer) error {
	if err := cloudevent.Check(&o); err != nil {
		return err
	}
	if l.offers != nil && !l.refuses.Load() && l.offers.Add(&observed{Offer: o, trace: span.Parent(ctx)}) {
		return nil
	}
	ctx, step := span.Stream(ctx, "append", bus.OffersStream)
	msg := &nats.Msg{}
	cloudevent.Render(bus.OffersPrefix, &o, span.Parent(ctx), msg)
	// Without an ID for the server to remember, which would be a sixth of what an offer costs: offers are read as a set, so two of one ID
	// would do no harm.
	err := publish.Offer(ctx, l.js, msg)
	step.End(err)
	if err != nil {
		return fmt.Errorf("append to %s: %w", bus.OffersStream, err)
	}
	l.refuses.Store(false)
	return nil
}

// underWay returns a user's offers that may not be in the stream yet. What is read from the stream afterwards has those that are missing.
func (l *Log) underWay(project ident.ProjectID, user ident.UserID) (offers []event.Offer) {
	if l.offers == nil {
		return nil
	}
	l.offers.Held(func(o *observed) {
		if o.Project == project && o.User == user {
			offers = append(offers, o.Offer)
		}
	})
	return offers
}

// settled returns when all of a user's offers are in the stream that were under way.
func (l *Log) settled(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if l.offers == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return l.offers.Wait(ctx, func(o *observed) bool { return o.Project == project && o.User == user })
}

// with adds what was under way to what was read after it, in which it may be already.
func with(read, before []event.Offer) []event.Offer {
	for _, o := range before {
		if !slices.ContainsFunc(read, func(r event.Offer) bool { return r.ID == o.ID }) {
			read = append(read, o)
		}
	}
	return read
}

// Offers returns the user's login-offered and login-denied events of the last hours, newest first: as many as the stream keeps.
func (l *Log) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	prefix, err := cloudevent.UserSubject(bus.OffersPrefix, project, user)
	if err != nil {
		return nil, err
	}
	before := l.underWay(project, user)
	var read []event.Offer
	if _, err := l.readUser(ctx, bus.OffersStream, prefix, 1, func(event.Type) bool { return true }, into(&read)); err != nil {
		return nil, err
	}
	var offers []event.Event
	for _, o := range with(read, before) {
		offers = append(offers, o.Event)
	}
	slices.SortFunc(offers, func(a, b event.Event) int { return event.ByAge(b, a) })
	return offers[:min(len(offers), maxOffers)], nil
}

// Pending returns the user's login offers that were published with something pending, oldest first: as many as the stream keeps. With a
// challenge, only offers of that challenge are returned.
func (l *Log) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	prefix, err := cloudevent.UserSubject(bus.OffersPrefix, project, user)
	if err != nil {
		return nil, err
	}
	before := l.underWay(project, user)
	var offers []event.Offer
	decode := into(&offers)
	err = l.read(ctx, bus.OffersStream, prefix+string(event.LoginOffered), 1, func(msg *jetstream.RawStreamMsg) error {
		if !bytes.Contains(msg.Data, []byte(challenge)) {
			return nil
		}
		return decode(msg)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(with(offers, before), func(o event.Offer) bool {
		return len(o.Pending) == 0 || challenge != "" && o.Challenge != challenge
	}), nil
}
