package connect

import (
	"context"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// ConnectEventCreate implements service.Connect: it records what happened on the client, for the user of the process, in the environment of
// the process. The message is not kept: events have no place for free text, which may hold anything about a person.
//
// As long as the client has not been told that there is a user, the event is counted and not recorded, be there one or not: how long the
// call takes would tell. Before it has proven to be the user's it may tell how the login went that it was given, and nothing else.
func (s *Service) ConnectEventCreate(ctx context.Context, req service.ForVisit[frontend.ConnectEventCreateReq]) (service.Empty, error) {
	kind := req.Body.EventType
	if !event.Type(kind).FromClients() {
		return service.Empty{}, fault.Field("eventType", "is no type that clients may send")
	}
	c, err := s.connectCall(ctx, req.Visit)
	if err != nil {
		return service.Empty{}, err
	}
	if !c.state.Told || c.process.User == "" {
		s.metrics.Events.WithLabelValues(string(kind), "unnamed").Inc()
		return service.Empty{}, nil
	}
	seen, err := s.environments.Visit(c.project, c.process.Client)
	if err != nil {
		return service.Empty{}, err
	}
	e := rest.PasskeyEventCreateReq{EventType: kind, ProcessID: &c.process.ID}
	if challenge := process.ChallengeIn(req.Body.Challenge); challenge != "" {
		e.Challenge = &challenge
	}
	if !c.state.Proven {
		if e, err = s.unproven(ctx, c, e); err != nil || e.Proven == nil {
			s.metrics.Events.WithLabelValues(string(kind), "unproven").Inc()
			return service.Empty{}, err
		}
	}
	if id := string(seen.Recorded()); id != "" {
		e.ClientEnvID = &id
	}
	_, err = s.events.Create(ctx, service.ForUser[rest.PasskeyEventCreateReq]{Project: c.project.ID, User: c.process.User, Body: e})
	if process.IsWithheld(err) {
		s.metrics.Events.WithLabelValues(string(kind), "withheld").Inc()
		return service.Empty{}, nil
	}
	if err != nil {
		return service.Empty{}, s.orphaned(ctx, c, err)
	}
	s.metrics.Events.WithLabelValues(string(kind), "recorded").Inc()
	return service.Empty{}, nil
}

// unproven returns the event as the word of a client without a proof, and notes that it was told. What such a client may not tell is
// returned as it is.
func (s *Service) unproven(ctx context.Context, c connectCall, e rest.PasskeyEventCreateReq) (rest.PasskeyEventCreateReq, error) {
	var given *process.Given
	taken := false
	_, err := s.stored.Update(ctx, c.project.ID, process.Connect, c.visit.Process, s.now(), func(pr *process.Process) error {
		return change(pr, func(st *connectState) {
			if taken = false; pr.User != c.process.User {
				return
			}
			st.Given, taken = st.Given.Take(event.Type(e.EventType), text(e.Challenge))
			given = st.Given
		})
	})
	if err != nil || !taken {
		return e, err
	}
	proven := false
	e.Challenge, e.Proven = &given.Challenge, &proven
	return e, nil
}

// longestDuration is how long anything can take on a client, as far as metrics go: what is beyond, or below zero, is a clock that was set.
const longestDuration = time.Hour

// ConnectEventsLowCreate implements service.Connect: durations become metrics, and nothing is kept of who had them.
func (s *Service) ConnectEventsLowCreate(ctx context.Context, req service.ForVisit[frontend.ConnectEventsLowReq]) (service.Empty, error) {
	if _, err := s.connectCall(ctx, req.Visit); err != nil {
		return service.Empty{}, err
	}
	for _, item := range req.Body.Items {
		if item.DurationMs < 0 || item.DurationMs > longestDuration.Milliseconds() {
			continue
		}
		took := time.Duration(item.DurationMs) * time.Millisecond
		s.metrics.Durations.WithLabelValues(durationType(item.EventType)).Observe(took.Seconds())
	}
	return service.Empty{}, nil
}

// durationType returns a type as a label: clients may send any text, and a label must not have any number of values.
func durationType(said string) string {
	if event.Type(said).FromClients() {
		return said
	}
	return "other"
}

// ConnectProcessClear implements service.Connect. The token of the process is in the body; whoever has it may end the process.
func (s *Service) ConnectProcessClear(
	ctx context.Context, req service.ForVisit[frontend.ConnectProcessClearReq],
) (frontend.ConnectProcessClearRsp, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return frontend.ConnectProcessClearRsp{}, err
	}
	if err := s.stored.Delete(ctx, p.ID, process.Connect, req.Body.ProcessID, s.now()); err != nil {
		return frontend.ConnectProcessClearRsp{}, err
	}
	return frontend.ConnectProcessClearRsp{ProcessID: req.Body.ProcessID}, nil
}
