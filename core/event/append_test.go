package event_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
)

func TestPropertyAnEventIsAppendedAsTheLibraryWritesIt(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.Make[event.Event]().Draw(t, "event")
		texts := []string{"", "plain", "<a href=\"x\">&</a>", "\\ \x00 \n \u2028 \x7f é", "no UTF-8: \xff"}
		e.Challenge = rapid.SampledFrom(texts).Draw(t, "text")
		if e.Feedback != nil { // as facts are written
			facts := []json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(`{"a":[1,true,"\u003c"],"b":{}}`)}
			e.Feedback.Facts = rapid.SampledFrom(facts).Draw(t, "facts")
		}
		want, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.AppendJSON([]byte("before")); string(got) != "before"+string(want) {
			t.Fatalf("got  %s\nwant before%s", got, want)
		}
	})
}
