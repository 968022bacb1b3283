package outage

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// named is a gateway that answers with its name, and is ready while well says so.
func named(t *testing.T, name string, well *atomic.Bool) *instance {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(server.Close)
	return &instance{address: strings.TrimPrefix(server.URL, "http://"), ready: server.URL + "/readyz"}
}

func TestABalancerHandsConnectionsToThoseThatAreReady(t *testing.T) {
	t.Parallel()
	var well [2]atomic.Bool
	well[0].Store(true)
	front, err := balance(t.Context(), named(t, "a", &well[0]), named(t, "b", &well[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer front.close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	answers := func() string {
		rsp, err := client.Get("http://" + front.address())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rsp.Body.Close() }()
		body, err := io.ReadAll(rsp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := answers(); got != "a" {
		t.Errorf("%q answered, which is not ready", got)
	}
	well[1].Store(true)
	eventually(t, "the other has its turn once it is ready", func() bool { return answers() == "b" })
	well[0].Store(false)
	eventually(t, "the one that is to end gets no more", func() bool { return answers()+answers()+answers() == "bbb" })
	fresh := named(t, "c", &well[1])
	front.replace(front.gateways[0], fresh)
	eventually(t, "another takes its place", func() bool { return answers() == "c" })
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
	}
}
