package eventstream

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/ident"
)

func TestWhatAFrameSays(t *testing.T) {
	t.Parallel()
	at := newPositions([]byte("salt"))
	id := string(at.append(nil, 7))
	for name, c := range map[string]struct {
		write func(*frame)
		want  string
	}{
		"a comment is a line that clients ignore": {func(f *frame) { f.comment("heartbeat") }, ": heartbeat\n\n"},
		"a wait is in milliseconds":               {func(f *frame) { f.retry(1500 * time.Millisecond) }, "retry: 1500\n\n"},
		"an event has its position and its type": {
			func(f *frame) { f.event(&feed.Message{Sequence: 7, Type: "local-unlock", Data: []byte(`{"a":1}`)}, at) },
			"id: " + id + "\nevent: local-unlock\ndata: {\"a\":1}\n\n",
		},
		"data of several lines are several fields, whatever ends the lines": {
			func(f *frame) { f.event(&feed.Message{Sequence: 7, Type: "x", Data: []byte("{\r\n\"a\": 1\n}")}, at) },
			"id: " + id + "\nevent: x\ndata: {\ndata: \"a\": 1\ndata: }\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, chunked := range []bool{false, true} {
				f := newFrame(chunked)
				f.prepend([]byte("head"))
				c.write(f)
				want := "head" + c.want
				if chunked {
					want = fmt.Sprintf("head%08x\r\n%s\r\n", len(c.want), c.want)
				}
				if got := string(f.finish()); got != want {
					t.Errorf("chunked %t: %q, want %q", chunked, got, want)
				}
				f.free()
			}
		})
	}
}

// Whatever is written in chunks is read again as it was, by somebody else's reader.
func TestChunksAreReadAsTheyWereWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var sent bytes.Buffer
		var want strings.Builder
		for _, text := range rapid.SliceOf(rapid.StringMatching(`[a-z]{0,40}`)).Draw(t, "comments") {
			f := newFrame(true)
			f.comment(text)
			sent.Write(f.finish())
			want.WriteString(": " + text + "\n\n")
			f.free()
		}
		sent.WriteString("0\r\n\r\n")
		got, err := io.ReadAll(httputil.NewChunkedReader(bufio.NewReader(&sent)))
		if err != nil || string(got) != want.String() {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestThereIsRoomForSoManyStreamsAndForSoManyOfAProject(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Most: 3, MostOfProject: 2}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	var releases []func()
	for i, c := range []struct {
		project ident.ProjectID
		want    bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}, {"b", false}} {
		release, ok := s.reserve(c.project)
		if ok != c.want {
			t.Fatalf("stream %d of %s: %t", i+1, c.project, ok)
		}
		if ok {
			releases = append(releases, release)
		}
	}
	releases[0]()
	again, ok := s.reserve("a")
	if !ok {
		t.Fatal("the room of a stream that ended is not used again")
	}
	for _, release := range append(releases[1:], again) {
		release()
	}
	s.End()
	if _, ok := s.reserve("a"); ok {
		t.Error("a stream begins after the end of all")
	}
}
