package framing

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// plain are texts that can be read in one way, and ambiguous those that cannot; what must not pass begins at the mark |.
var plain = map[string]string{
	"a request without a body":     get,
	"two of them":                  get + get,
	"empty lines before a request": "\r\n\r\n" + get,
	"a body of a length":           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\n\n" + get,
	"a body of no length":          "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n" + get,
	"chunks": "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED\r\n\r\n2;x=\"y\"\r\n\n\n\r\n0\r\nX: " +
		"y\r\n\r\n" + get,
	"no host in HTTP/1.0":                 "GET / HTTP/1.0\r\n\r\n",
	"a body of a GET":                     "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get,
	"the host in the target too":          "GET http://a:80/x HTTP/1.1\r\nHost: A:80\r\n\r\n",
	"an address of IPv6":                  "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"a beginning":                         "GET / HT",
	"tabs and letters beyond ASCII in it": "GET / HTTP/1.1\r\nHost: a\r\nX-A: \tä\t\r\n\r\n",
}

var ambiguous = map[string]string{
	"a request line that ends in LF":        "GET / HTTP/1.1|\nHost: a\r\n\r\n",
	"a field that ends in LF":               "GET / HTTP/1.1\r\nHost: a|\n\r\n",
	"a head that ends in LF":                "GET / HTTP/1.1\r\nHost: a\r\n|\n",
	"a second request with one":             get + "GET / HTTP/1.1|\nHost: a\r\n\r\n",
	"a CR alone":                            "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r|\n\r\n",
	"a line that goes on":                   "GET / HTTP/1.1\r\nHost: a\r\n X: b\r|\n\r\n",
	"a blank before the colon":              "GET / HTTP/1.1\r\nHost : a\r|\n\r\n",
	"two lengths":                           "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r|\n\r\n",
	"a list of lengths":                     "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r|\n\r\n",
	"a length with a sign":                  "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r|\n\r\n",
	"a length and chunks":                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r|\n",
	"chunks in HTTP/1.0":                    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r|\n",
	"another coding":                        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r|\n\r\n",
	"the coding identity":                   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r|\n\r\n",
	"no coding":                             "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r|\n\r\n",
	"chunks twice":                          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r|\n\r\n",
	"no host":                               "GET / HTTP/1.1\r\n\r|\n",
	"two hosts":                             "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r|\n",
	"a host with a path":                    "GET / HTTP/1.1\r\nHost: a/b\r\n\r|\n",
	"a port that is no number":              "GET / HTTP/1.1\r\nHost: a:b\r\n\r|\n",
	"another host in the target":            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r|\n",
	"a version that there is not":           "GET / HTTP/2.0\r|\n\r\n",
	"no version":                            "GET /\r|\n\r\n",
	"two blanks":                            "GET  / HTTP/1.1\r|\n\r\n",
	"a chunk with a sign":                   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r|\na\r\n0\r\n\r\n",
	"a chunk of 2 to the 64th":              "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r|\n",
	"a chunk that ends in LF":               "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na|\n0\r\n\r\n",
	"a chunk longer than its size":          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r|\n0\r\n\r\n",
	"a trailer that is none":                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r|\n\r\n",
	"NUL in a value":                        "GET / HTTP/1.1\r\nHost: a\r\nX: a\x00\r|\n\r\n",
	"the preface of HTTP/2 where it is not": "PRI * HTTP/2.0\r|\n\r\nSM\r\n\r\n",
}

func newReader() *reader { return &reader{cfg: Config{LineLimit: 1 << 16}} }

func TestWhatCanBeReadInOneWayPassesAsItIs(t *testing.T) {
	t.Parallel()
	for name, text := range plain {
		if passed := newReader().follow([]byte(text)); passed != len(text) {
			t.Errorf("%s: stopped before %q", name, text[passed:])
		}
	}
}

func TestWhatCanBeReadInTwoWaysEndsBeforeItsLineDoes(t *testing.T) {
	t.Parallel()
	for name, marked := range ambiguous {
		before, after, _ := strings.Cut(marked, "|")
		if passed := newReader().follow([]byte(before + after)); passed != len(before) {
			t.Errorf("%s: passed %q, want %q", name, (before + after)[:passed], before)
		}
	}
}

// How a text arrives is the network's choice, or an attacker's.
func TestHowATextIsCutDoesNotMatter(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, text := range plain {
		texts = append(texts, text)
	}
	for _, text := range ambiguous {
		texts = append(texts, strings.Replace(text, "|", "", 1))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(texts).Draw(t, "text")
		whole := newReader().follow([]byte(text))
		r, passed := newReader(), 0
		for rest := text; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			p := r.follow([]byte(rest[:n]))
			passed += p
			if p < n {
				break
			}
			rest = rest[n:]
		}
		if passed != whole {
			t.Fatalf("%q: %d bytes pass at once, and %d in pieces", text, whole, passed)
		}
	})
}

func TestALineWithoutAnEndIsNotKept(t *testing.T) {
	t.Parallel()
	r := &reader{cfg: Config{LineLimit: 100}}
	for range 10 {
		if r.follow(bytes.Repeat([]byte("a"), 50)) < 50 {
			return
		}
	}
	t.Errorf("%d bytes are kept", len(r.line))
}

func TestHTTP2PassesWhereItIsSpoken(t *testing.T) {
	t.Parallel()
	r := &reader{cfg: Config{LineLimit: 100, HTTP2: true}}
	text := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\n\x04"
	if passed := r.follow([]byte(text)); passed != len(text) {
		t.Errorf("stopped before %q", text[passed:])
	}
}

func TestAConnectionEndsWithWhatIsAmbiguous(t *testing.T) {
	t.Parallel()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(inner, Config{LineLimit: 100})
	defer l.Close()
	client, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: a\n\r\n"+get); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	got, err := io.ReadAll(conn)
	if string(got) != "GET / HTTP/1.1\r\nHost: a" || !errors.Is(err, ErrAmbiguous) {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzFraming: of what passes as whole requests, another reader sees as many, and each ends where it ends here.
func FuzzFraming(f *testing.F) {
	for _, text := range plain {
		f.Add([]byte(text))
	}
	for _, text := range ambiguous {
		f.Add([]byte(strings.Replace(text, "|", "", 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if newReader().follow(text) != len(text) {
			return
		}
		other := bufio.NewReaderSize(bytes.NewReader(text), len(text)+16)
		for {
			req, err := http.ReadRequest(other)
			if err != nil {
				return // it is stricter about something, or has read all
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return // the rest of the body has not come
			}
			// What comes next begins a request here too.
			end := len(text) - other.Buffered()
			r := newReader()
			if r.follow(text[:end]); r.expects != nil || r.skip != 0 || len(r.line) != 0 {
				t.Fatalf("net/http sees the end of a request behind %q", text[:end])
			}
		}
	})
}

func BenchmarkFollow(b *testing.B) {
	text := []byte("POST /v2/passkey/login/start HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n" +
		"Authorization: Basic cHJvLTE6Y29yYnVkb19zZWNyZXQ=\r\nContent-Length: 40\r\n\r\n" + strings.Repeat("a", 40))
	r := newReader()
	b.ReportAllocs()
	for b.Loop() {
		if r.follow(text) != len(text) {
			b.Fatal("stopped")
		}
	}
}
