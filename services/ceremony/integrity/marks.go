package integrity

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
)

// mark is how far a stream had come.
type mark struct {
	Last     uint64    `json:"last"`     // sequence
	Messages uint64    `json:"messages"` // that were there
	Absent   uint64    `json:"absent"`   // sequences between the first and the last that were not
	At       time.Time `json:"at"`
	Keeps    bool      `json:"keeps"` // the number of messages never falls: the last of each subject is kept for ever
}

func (m mark) same(other mark) bool {
	return m.Last == other.Last && m.Messages == other.Messages && m.Absent == other.Absent
}

// marked returns the streams of which nothing may be missing. Observations may lose their last moments.
func marked() []string {
	streams := []string{bus.EventsStream}
	for _, bucket := range []string{
		bus.AccountsBucket, bus.CredentialsBucket, bus.IdentifiersBucket, bus.ProjectsBucket, bus.KeysBucket, bus.ProjectKeysBucket,
		bus.SessionsBucket, bus.SessionIndexBucket, bus.TokensBucket, bus.WebhooksBucket,
	} {
		streams = append(streams, "KV_"+bucket)
	}
	return streams
}

// measure reads how far the streams are.
func (c *Checker) measure(ctx context.Context) (map[string]mark, error) {
	now := make(map[string]mark)
	for _, name := range marked() {
		stream, err := c.deps.JetStream.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s: %w", name, err)
		}
		info := stream.CachedInfo()
		now[name] = markOf(info.Config, info.State, c.deps.Now())
	}
	return now, nil
}

func markOf(cfg jetstream.StreamConfig, state jetstream.StreamState, at time.Time) mark {
	m := mark{Last: state.LastSeq, Messages: state.Msgs, At: at}
	m.Keeps = cfg.MaxAge == 0 && cfg.MaxMsgsPerSubject == 1
	if state.Msgs > 0 {
		m.Absent = state.LastSeq - state.FirstSeq + 1 - state.Msgs
	}
	return m
}

// missing compares streams with what they were.
func missing(before, now map[string]mark) []Finding {
	var found []Finding
	for _, name := range marked() {
		was, is := before[name], now[name]
		if is.Last < was.Last {
			found = append(found, Finding{Kind: EndLost, Where: name, Count: was.Last - is.Last})
		}
		if was.Keeps && is.Keeps && is.Messages < was.Messages {
			found = append(found, Finding{Kind: MessagesLost, Where: name, Count: was.Messages - is.Messages})
		}
	}
	return found
}
