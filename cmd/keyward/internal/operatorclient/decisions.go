package operatorclient

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

const decisions = "/decisions"

// Asked is a page of a list that is asked for.
type Asked struct {
	Sort           string   // field:asc or field:desc; empty = the list's own order
	Filter         []string // field:op:value
	Page, PageSize int
}

func (a Asked) query() string {
	q := url.Values{"filter[]": a.Filter}
	if a.Sort != "" {
		q.Set("sort", a.Sort)
	}
	if a.Page > 0 {
		q.Set("page", strconv.Itoa(a.Page))
	}
	if a.PageSize > 0 {
		q.Set("pageSize", strconv.Itoa(a.PageSize))
	}
	return "?" + q.Encode()
}

// ListDecisions returns a page of the decisions.
func (c *Client) ListDecisions(ctx context.Context, asked Asked) (operator.DecisionList, error) {
	return get[operator.DecisionList](ctx, c, decisions+asked.query())
}

// GetDecision returns the record of a decision.
func (c *Client) GetDecision(ctx context.Context, id string) (operator.Decision, error) {
	return get[operator.Decision](ctx, c, decisions+"/"+url.PathEscape(id))
}

// LogAsked is a part of the decision log that is asked for.
type LogAsked struct {
	Since, Until time.Time // zero = as far as there is something
	After        string    // position; empty = from the beginning
	Limit        int
}

func (a LogAsked) query() string {
	q := url.Values{"limit": {strconv.Itoa(a.Limit)}}
	for name, moment := range map[string]time.Time{"since": a.Since, "until": a.Until} {
		if !moment.IsZero() {
			q.Set(name, moment.UTC().Format(time.RFC3339Nano))
		}
	}
	if a.After != "" {
		q.Set("after", a.After)
	}
	return "?" + q.Encode()
}

// Logged is a line of the decision log, and its position.
type Logged struct {
	Line     []byte
	Position string
}

// LogDecisions returns a part of the decision log; none at its end.
func (c *Client) LogDecisions(ctx context.Context, asked LogAsked) (all []Logged, _ error) {
	answer, err := c.answer(ctx, http.MethodGet, decisions+"/log"+asked.query(), nil)
	if err != nil {
		return nil, err
	}
	for line := range bytes.Lines(answer) {
		var event struct {
			Custom struct {
				Position string `json:"position"`
			} `json:"custom"`
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("read a line of the decision log: %w", err)
		}
		all = append(all, Logged{bytes.TrimSpace(line), event.Custom.Position})
	}
	return all, nil
}

// FollowDecisions hands over decisions as they are indexed, from the moment at which began is called, until ctx ends or an error that says
// that there is no use in it. While the server is away, away is told why and it is tried again.
func (c *Client) FollowDecisions(
	ctx context.Context, filter []string, began func(), take func(operator.DecisionSummary) error, away func(error),
) error {
	const pause = time.Second
	f := follower{client: c, filter: filter, began: began, take: take}
	for {
		err := f.once(ctx)
		var refused *client.Fault
		var stop *stopError
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to end
		case errors.As(err, &stop):
			return stop.error
		case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
			return err
		}
		away(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// stopError is an error of who takes decisions.
type stopError struct{ error }

type follower struct {
	client *Client
	filter []string
	began  func()
	take   func(operator.DecisionSummary) error
	last   string // ID of the event that was seen last
}

func (f *follower) once(ctx context.Context) error {
	req, err := f.client.request(ctx, http.MethodGet, decisions+"/stream"+Asked{Filter: f.filter}.query(), nil)
	if err != nil {
		return &stopError{err}
	}
	if f.last != "" {
		req.Header.Set("Last-Event-ID", f.last)
	}
	endless := *f.client.http
	endless.Timeout = 0
	rsp, err := endless.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = rsp.Body.Close() }()
	if rsp.StatusCode != http.StatusOK {
		answer, err := io.ReadAll(io.LimitReader(rsp.Body, maxAnswer))
		return errors.Join(client.ReadFault(rsp.StatusCode, answer), err)
	}
	f.began()
	return f.read(rsp.Body)
}

// read takes up server-sent events (WHATWG HTML, section 9.2.6) until there are no more.
func (f *follower) read(body io.Reader) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	var id, data string
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "" && data != "":
			var told operator.DecisionSummary
			if err := json.Unmarshal([]byte(data), &told); err != nil {
				return &stopError{fmt.Errorf("read a decision: %w", err)}
			}
			if err := f.take(told); err != nil {
				return &stopError{err}
			}
			f.last, data = id, ""
		case field == "id":
			id = value
		case field == "data":
			data += value
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
