package client_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// serve answers every call the same way and returns a client of it with what was seen of its calls.
func serve(t *testing.T, status int, answer string) (*client.Client, *[]client.Exchange) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id, secret, _ := r.BasicAuth(); id != "pro-1" || secret != "hush" {
			t.Errorf("called as %q with %q", id, secret)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	var seen []client.Exchange
	project := client.Project{URL: server.URL, ID: "pro-1", Secret: "hush"}
	return client.Connect(project, 10*time.Second, func(x client.Exchange) { seen = append(seen, x) }), &seen
}

func TestACallIsShownAndAnswered(t *testing.T) {
	t.Parallel()
	api, seen := serve(t, http.StatusOK, `{"userID":"usr-1"}`)
	name := "Ada"
	user, err := api.CreateUser(t.Context(), rest.UserCreateReq{FullName: &name, Status: rest.UserStatusActive})
	if err != nil || user.UserID != "usr-1" {
		t.Errorf("answered %+v, %v", user, err)
	}
	if len(*seen) != 1 {
		t.Fatalf("saw %d exchanges", len(*seen))
	}
	x := (*seen)[0]
	if x.Method != http.MethodPost || x.Path != "/v2/users" || x.Status != http.StatusOK ||
		string(x.Request) != `{"fullName":"Ada","status":"active"}` || string(x.Response) != `{"userID":"usr-1"}` {
		t.Errorf("saw %+v", x)
	}
}

func TestARefusalIsAFault(t *testing.T) {
	t.Parallel()
	api, _ := serve(t, http.StatusBadRequest, `{"httpStatusCode":400,"error":{"type":"validation_error",`+
		`"validation":[{"field":"status","message":"is unknown"}]}}`)
	_, err := api.FirstUser(t.Context())
	var fault *client.Fault
	if !errors.As(err, &fault) || fault.Status != http.StatusBadRequest {
		t.Fatalf("returned %v", err)
	}
	if want := "the server answered 400 validation_error: status: is unknown"; err.Error() != want {
		t.Errorf("it reads %q, not %q", err, want)
	}
}

func TestWhatCannotBeReadIsNoFault(t *testing.T) {
	t.Parallel()
	for status, answer := range map[int]string{http.StatusBadGateway: "<html>", http.StatusNotFound: "{}", http.StatusOK: "<html>"} {
		api, _ := serve(t, status, answer)
		_, err := api.FirstUser(t.Context())
		if fault := new(client.Fault); err == nil || errors.As(err, &fault) || errors.Is(err, client.ErrUnanswered) {
			t.Errorf("%d with %q: %v", status, answer, err)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	nobody := httptest.NewServer(http.NotFoundHandler())
	nobody.Close()
	_, err := client.Connect(client.Project{URL: nobody.URL}, time.Second, nil).FirstUser(t.Context())
	if !errors.Is(err, client.ErrUnanswered) || !strings.Contains(err.Error(), nobody.URL) {
		t.Errorf("returned %v", err)
	}
}
