package publish

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
)

func TestReceiptsAreReadAsTheServerMeansThem(t *testing.T) {
	t.Parallel()
	const stream = bus.EventsStream
	for name, c := range map[string]struct {
		answer string
		want   jetstream.PubAck
	}{
		"stored":             {`"seq":12}`, jetstream.PubAck{Sequence: 12}},
		"stored, spaced":     {`"seq": 12 }`, jetstream.PubAck{Sequence: 12}},
		"known already":      {`"seq":12,"duplicate":true}`, jetstream.PubAck{Sequence: 12, Duplicate: true}},
		"stored in a domain": {`"domain":"hub","seq":12}`, jetstream.PubAck{Sequence: 12, Domain: "hub"}},
		"with what is new":   {`"seq":12,"val":"3"}`, jetstream.PubAck{Sequence: 12, Value: "3"}},
	} {
		c.want.Stream = stream
		if got, err := receipt([]byte(`{"stream":"` + stream + `",` + c.answer)); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestWhatIsNoReceiptIsNone(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"nothing":                 ``,
		"of no stream":            `{}`,
		"cut":                     `{"stream":"` + bus.EventsStream + `","seq":12`,
		"of no sequence":          `{"stream":"` + bus.EventsStream + `","seq":0}`,
		"a sequence that is none": `{"stream":"` + bus.EventsStream + `","seq":-1}`,
	} {
		if got, err := receipt([]byte(answer)); !errors.Is(err, jetstream.ErrInvalidJSAck) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	var api *jetstream.APIError
	_, err := receipt([]byte(`{"error":{"code":400,"err_code":10071},"stream":"` + bus.EventsStream + `","seq":0}`))
	if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		t.Errorf("a refusal: %v", err)
	}
}

func FuzzReceipt(f *testing.F) {
	f.Add([]byte(`{"stream":"` + bus.EventsStream + `","seq":12}`))
	f.Add([]byte(`{"stream":"` + bus.EventsStream + `","seq":012}`))
	f.Add([]byte(`{"stream":"` + bus.EventsStream + `","seq":18446744073709551616}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		got, err := receipt(answer)
		if err != nil {
			return
		}
		var want jetstream.PubAck
		if err := json.Unmarshal(answer, &want); err != nil || got != want || got.Sequence == 0 {
			t.Errorf("got %+v, want %+v, %v", got, want, err)
		}
	})
}
