package rpc

import (
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/keyward/keyward/core/fault"
)

// listing answers what NATS tools ask a service: who is there, where it listens, and how it fares (NATS micro protocol, ADR-32). It stands
// in the place of micro.AddService, which measures how long its handlers run and whether they have failed when they return; calls here are
// handed to goroutines of their own, so that would be microseconds and no failure.
type listing struct {
	identity  micro.ServiceIdentity
	started   time.Time
	endpoints []*endpoint
}

// addressed is what an instance says of itself whose methods also listen at subjects that end with its ID.
const addressed = "addressed"

func newListing(service, version string) listing {
	return listing{
		identity: micro.ServiceIdentity{
			Name: "keyward-" + service, ID: rand.Text(), Version: version, Metadata: map[string]string{addressed: "true"},
		},
		started: time.Now().UTC(),
	}
}

// answers returns what to say, by the subject on which it is asked: of every service, of those of one name, of this instance.
func (l *listing) answers() map[string]func() any {
	all := map[string]func() any{}
	for verb, answer := range map[micro.Verb]func() any{micro.PingVerb: l.ping, micro.InfoVerb: l.info, micro.StatsVerb: l.stats} {
		subject := micro.APIPrefix + "." + verb.String()
		for _, whose := range []string{"", "." + l.identity.Name, "." + l.identity.Name + "." + l.identity.ID} {
			all[subject+whose] = answer
		}
	}
	return all
}

func (l *listing) ping() any {
	return micro.Ping{ServiceIdentity: l.identity, Type: micro.PingResponseType}
}

func (l *listing) info() any {
	info := micro.Info{
		ServiceIdentity: l.identity, Type: micro.InfoResponseType, Description: "Keyward " + l.identity.Name[len("keyward-"):] + " service",
	}
	for _, e := range l.endpoints {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{
			Name: e.method.name, Subject: e.subject, QueueGroup: micro.DefaultQueueGroup, Metadata: map[string]string{},
		})
	}
	return info
}

func (l *listing) stats() any {
	stats := micro.Stats{ServiceIdentity: l.identity, Type: micro.StatsResponseType, Started: l.started}
	for _, e := range l.endpoints {
		stats.Endpoints = append(stats.Endpoints, e.stats())
	}
	return stats
}

// endpoint is where a method listens, and how its calls have ended.
type endpoint struct {
	method  Method
	subject string

	mu        sync.Mutex
	requests  int
	errors    int
	lastError string
	spent     time.Duration
}

// count adds a call that took so long and ended with f, or well.
func (e *endpoint) count(took time.Duration, f *fault.Fault) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.requests++
	e.spent += took
	if f != nil {
		e.errors++
		e.lastError = strconv.Itoa(f.Status) + ":" + string(f.Type)
	}
}

func (e *endpoint) stats() *micro.EndpointStats {
	e.mu.Lock()
	defer e.mu.Unlock()
	stats := &micro.EndpointStats{
		Name: e.method.name, Subject: e.subject, QueueGroup: micro.DefaultQueueGroup,
		NumRequests: e.requests, NumErrors: e.errors, LastError: e.lastError, ProcessingTime: e.spent,
	}
	if e.requests > 0 {
		stats.AverageProcessingTime = e.spent / time.Duration(e.requests)
	}
	return stats
}
