package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/plugins/rest"
)

// maxArchive bounds what is read of a bundle, which has 32 MiB of files at most.
const maxArchive = 32 << 20

// Times of a fetch.
const (
	answerTimeout = 10 * time.Second // until headers come
	bodyTimeout   = 30 * time.Second // until all of it is there
)

// What is no bundle.
var (
	errTooLarge = fmt.Errorf("it has more than %d bytes", maxArchive)
	errEmpty    = errors.New("the answer is empty")
)

// server is a server of bundles, as OPA calls them.
type server struct {
	path            string
	prompt, patient rest.Client // for an answer at once, and for one that may wait
	wait            time.Duration
}

func newServer(settings map[string]any, u *url.URL, wait time.Duration) (*server, error) {
	prompt, err := client(settings, answerTimeout)
	if err != nil {
		return nil, err
	}
	patient, err := client(settings, answerTimeout+wait)
	if err != nil {
		return nil, err
	}
	path := u.EscapedPath()
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return &server{path: path, prompt: prompt, patient: patient, wait: wait}, nil
}

// longPolls is the type of answers of servers that keep a call open until there is another bundle.
const longPolls = "application/vnd.openpolicyagent.bundles"

func (s *server) get(ctx context.Context, known state) (fetched, error) {
	client, limit := s.prompt, answerTimeout+bodyTimeout
	prefer := "modes=snapshot"
	if known.waits && s.wait > 0 {
		client, limit = s.patient, limit+s.wait
		prefer += ";wait=" + strconv.Itoa(int(s.wait.Seconds()))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	client = client.WithHeader("Prefer", prefer)
	if known.tag != "" {
		client = client.WithHeader("If-None-Match", known.tag)
	}
	answer, err := client.Do(ctx, http.MethodGet, s.path)
	if err != nil {
		return fetched{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	switch answer.StatusCode {
	case http.StatusNotModified:
		return fetched{state: known}, nil
	case http.StatusOK:
	default:
		return fetched{}, fmt.Errorf("the answer is %s", answer.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxArchive+1))
	switch {
	case err != nil:
		return fetched{}, fmt.Errorf("the answer was cut short: %w", err)
	case len(raw) > maxArchive:
		return fetched{}, errTooLarge
	case len(raw) == 0:
		return fetched{}, errEmpty
	}
	return fetched{raw: raw, state: state{tag: answer.Header.Get("ETag"), waits: answer.Header.Get("Content-Type") == longPolls}}, nil
}
