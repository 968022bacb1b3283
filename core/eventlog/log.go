package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/span"
)

// Headers and values of CloudEvents 1.0 over NATS, binary mode.
const (
	headerSpecVersion = "ce-specversion"
	headerID          = "ce-id"
	headerSource      = "ce-source"
	headerType        = "ce-type"
	headerSubject     = "ce-subject"
	headerTime        = "ce-time"
	headerDataType    = "ce-datacontenttype"
	headerContentType = "content-type" // the same, for readers who look for what other bindings have
	specVersion       = "1.0"
	contentType       = "application/json"
	typePrefix        = "keyward.passkey."
	sourcePrefix      = "/keyward/projects/"
)

const (
	pageSize  = 1000 // messages a batch read asks for
	maxOffers = 2 * bus.OffersPerSubject
	readLimit = 5 * time.Second // of one read, if the caller set none
)

// Log reads and appends events in JetStream. It is safe for concurrent use.
type Log struct {
	js         jetstream.JetStream
	commits    *commits
	replicated bool // a batch read may be answered by a follower that is behind
}

// NewLog returns a log on the streams of package bus, which must exist.
func NewLog(ctx context.Context, js jetstream.JetStream) (*Log, error) {
	stream, err := js.Stream(ctx, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	return &Log{js: js, commits: newCommits(js), replicated: stream.CachedInfo().Config.Replicas > 1}, nil
}

// Receipt says where an event is in the log.
type Receipt struct {
	Sequence  uint64 // in the stream of passkey events; of a duplicate: of the event that was there first
	Duplicate bool   // the log held an event with the same ID already, of which it knows for two minutes, and nothing was stored
	Unsure    bool   // the same, but what was there may be this event, from an attempt whose answer was lost
}

// Append stores e on disk. After an error e may be stored or not. Of two events of a user, one appended after Append of the other had
// returned comes later in the log.
func (l *Log) Append(ctx context.Context, e event.Event) (Receipt, error) {
	_, receipt, err := l.append(ctx, e)
	return receipt, err
}

// append is Append, and returns what was stored.
func (l *Log) append(ctx context.Context, e event.Event) (stored []byte, r Receipt, err error) {
	ctx, step := span.Stream(ctx, "append", bus.EventsStream)
	defer func() { step.End(err) }()
	msg, err := message(ctx, bus.EventsPrefix, event.Offer{Event: e})
	if err != nil {
		return nil, Receipt{}, err
	}
	r, err = l.commits.publish(ctx, msg, string(e.ID))
	return msg.Data, r, err
}

// PublishOffer stores a login-offered or login-denied event; a machine that loses power may lose the last of them.
func (l *Log) PublishOffer(ctx context.Context, e event.Event) error {
	return l.PublishPending(ctx, event.Offer{Event: e})
}

// PublishPending stores a login offer together with what its ceremony needs to be finished, as one message.
func (l *Log) PublishPending(ctx context.Context, o event.Offer) error {
	ctx, step := span.Stream(ctx, "append", bus.OffersStream)
	msg, err := message(ctx, bus.OffersPrefix, o)
	if err != nil {
		step.End(err)
		return err
	}
	// Without an ID for the server to remember, which would be a sixth of what an offer costs: offers are read as a set, so two of one ID
	// would do no harm.
	err = l.publish(ctx, msg)
	step.End(err)
	if err != nil {
		return fmt.Errorf("append to %s: %w", bus.OffersStream, err)
	}
	return nil
}

// acknowledged is how the server's word begins that a message is in the stream of offers. A refusal begins with the error.
const acknowledged = `{"stream":"` + bus.OffersStream + `",`

// publish stores an observation. The client reads each acknowledgement as JSON, at a third of what it takes to send one: here its beginning
// is enough. Whatever else is answered is the client's affair, which asks again if nobody is there to answer, and knows the errors.
func (l *Log) publish(ctx context.Context, msg *nats.Msg) error {
	if _, bounded := ctx.Deadline(); bounded {
		answer, err := l.js.Conn().RequestMsgWithContext(ctx, msg)
		if err == nil && bytes.HasPrefix(answer.Data, []byte(acknowledged)) {
			return nil
		}
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			return err
		}
	}
	_, err := l.js.PublishMsg(ctx, msg)
	return err
}

// errMalformed marks what no caller over the wire can cause, since IDs and types are checked before.
var errMalformed = errors.New("malformed")

// message renders an event as a CloudEvent of the trace of the call that it comes of. It refuses IDs and types that would reach beyond
// their place in the subject.
func message(ctx context.Context, prefix string, e event.Offer) (*nats.Msg, error) {
	if _, err := ident.ParseEventID(string(e.ID)); err != nil {
		return nil, fmt.Errorf("%w: event ID %w", errMalformed, err)
	}
	subject, err := userSubject(prefix, e.Project, e.User)
	if err != nil {
		return nil, err
	}
	if e.Type == "" || strings.ContainsAny(string(e.Type), ".*> \t\r\n") {
		return nil, fmt.Errorf("%w: type %q is no subject token", errMalformed, e.Type)
	}
	// One text and one array for all values, instead of one each.
	const usual = 192 // bytes
	text := append(make([]byte, 0, usual), sourcePrefix...)
	text = append(text, e.Project...)
	source := len(text)
	text = append(append(text, typePrefix...), e.Type...)
	kind := len(text)
	text = append(append(text, subject...), e.Type...)
	to := len(text)
	all := string(time.UnixMilli(e.CreatedMs).UTC().AppendFormat(text, "2006-01-02T15:04:05.000Z"))
	values := [...]string{
		specVersion, string(e.ID), all[:source], all[source:kind], string(e.User), all[to:], contentType, contentType,
	}
	header := make(nats.Header, len(values))
	for i, name := range [...]string{
		headerSpecVersion, headerID, headerSource, headerType, headerSubject, headerTime, headerDataType, headerContentType,
	} {
		header[name] = values[i : i+1 : i+1]
	}
	if parent := span.Parent(ctx); parent != "" {
		header[span.TraceParent] = []string{parent}
	}
	return &nats.Msg{Subject: all[kind:to], Header: header, Data: encodeOffer(&e)}, nil
}

// encodeOffer puts what is pending behind the members of the event. It is JSON already, so it is neither read nor copied through the
// encoder again.
func encodeOffer(o *event.Offer) []byte {
	const usual = 768 // bytes
	body := o.Event.AppendJSON(make([]byte, 0, usual))
	if len(o.Pending) == 0 {
		return body
	}
	body = append(body[:len(body)-1], `,"pending":`...)
	body = append(body, o.Pending...)
	return append(body, '}')
}

// userSubject returns the start of the subjects of a user's messages, with the dot.
func userSubject(prefix string, project ident.ProjectID, user ident.UserID) (string, error) {
	if _, err := ident.ParseProjectID(string(project)); err != nil {
		return "", fmt.Errorf("%w: project ID %w", errMalformed, err)
	}
	if _, err := ident.ParseUserID(string(user)); err != nil {
		return "", fmt.Errorf("%w: user ID %w", errMalformed, err)
	}
	return prefix + "." + string(project) + "." + string(user) + ".", nil
}

// Read returns the user's history from the sequence on, in the order it was appended: deletions included, events of the account left out.
// It returns too the sequence that follows the last. It holds everything acknowledged before the call. No events is no error.
func (l *Log) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, from uint64) ([]event.Event, uint64, error) {
	prefix, err := userSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return nil, 0, err
	}
	var events []event.Event
	next, err := l.readUser(ctx, bus.EventsStream, prefix, from, func(t event.Type) bool { return !t.OfAccount() }, into(&events))
	if err != nil {
		return nil, 0, err
	}
	return events, next, nil
}

// read hands every message of the subject from the sequence on to take, in the order of the stream. A follower that is behind is waited
// for.
func (l *Log) read(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	ctx, step := span.Stream(ctx, "read", stream)
	err := l.readLatest(ctx, stream, subject, from, take)
	step.End(err)
	return err
}

func (l *Log) readLatest(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error) error {
	var last uint64
	var err error
	if l.replicated {
		if last, _, err = l.last(ctx, stream, subject); err != nil {
			return err
		}
	}
	return l.readThrough(ctx, stream, subject, from, last, take)
}

// into decodes messages and adds them to a list.
func into[T any](list *[]T) func(*jetstream.RawStreamMsg) error {
	return func(msg *jetstream.RawStreamMsg) error {
		var e T
		if err := jsonv2.Unmarshal(msg.Data, &e); err != nil {
			return fmt.Errorf("decode event: %w", err)
		}
		*list = append(*list, e)
		return nil
	}
}

// readThrough reads until what it read reaches the sequence last, which exists in the stream: a follower that is behind catches up in a
// moment.
func (l *Log) readThrough(
	ctx context.Context, stream, subject string, from, last uint64, take func(*jetstream.RawStreamMsg) error,
) error {
	const pause = 5 * time.Millisecond
	next := max(from, 1)
	for {
		following, err := l.readAll(ctx, stream, subject, next, take)
		if err != nil {
			return err
		}
		next = following
		if next > last {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read %s up to %d: %w", subject, last, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Offers returns the user's login-offered and login-denied events of the last hours, newest first: as many as the stream keeps.
func (l *Log) Offers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	prefix, err := userSubject(bus.OffersPrefix, project, user)
	if err != nil {
		return nil, err
	}
	var offers []event.Event
	if _, err := l.readUser(ctx, bus.OffersStream, prefix, 1, func(event.Type) bool { return true }, into(&offers)); err != nil {
		return nil, err
	}
	slices.SortFunc(offers, func(a, b event.Event) int { return event.ByAge(b, a) })
	return offers[:min(len(offers), maxOffers)], nil
}

// Pending returns the user's login offers that were published with something pending, oldest first: as many as the stream keeps. With a
// challenge, only offers of that challenge are returned.
func (l *Log) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	prefix, err := userSubject(bus.OffersPrefix, project, user)
	if err != nil {
		return nil, err
	}
	var offers []event.Offer
	decode := into(&offers)
	err = l.read(ctx, bus.OffersStream, prefix+string(event.LoginOffered), 1, func(msg *jetstream.RawStreamMsg) error {
		if !bytes.Contains(msg.Data, []byte(challenge)) {
			return nil
		}
		return decode(msg)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(offers, func(o event.Offer) bool {
		return len(o.Pending) == 0 || challenge != "" && o.Challenge != challenge
	}), nil
}

// readAll reads every message of the subject from the sequence on, page by page, and returns the sequence that follows the last.
func (l *Log) readAll(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error) (uint64, error) {
	next := from
	for {
		following, pending, err := l.readPage(ctx, stream, subject, next, take)
		if err != nil {
			return 0, fmt.Errorf("read %s: %w", subject, err)
		}
		next = cmp.Or(following, next)
		if pending == 0 {
			return next, nil
		}
	}
}

var errIncomplete = errors.New("the answer was incomplete")

// readPage reads one batch. It returns the sequence after the last message, 0 if there was none, and how many messages match and come
// after. The client ends a batch silently when time runs out; what the last message says is pending then remains to be read.
func (l *Log) readPage(
	ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error,
) (next, pending uint64, err error) {
	return l.readBatch(ctx, stream, take, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
}

// readBatch is readPage of what the options say.
func (l *Log) readBatch(
	ctx context.Context, stream string, take func(*jetstream.RawStreamMsg) error, what ...jetstreamext.GetBatchOpt,
) (next, pending uint64, err error) {
	batch, err := jetstreamext.GetBatch(ctx, l.js, stream, pageSize, what...)
	if err != nil {
		return 0, 0, err
	}
	var previous uint64
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		if msg.Header.Get("Nats-Last-Sequence") != strconv.FormatUint(previous, 10) {
			return 0, 0, errIncomplete
		}
		previous = msg.Sequence
		if pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return 0, 0, fmt.Errorf("read what is pending: %w", err)
		}
		if err := take(msg); err != nil {
			return 0, 0, fmt.Errorf("message %d: %w", msg.Sequence, err)
		}
		next = msg.Sequence + 1
	}
	if next == 0 {
		return 0, 0, errors.Join(errIncomplete, ctx.Err())
	}
	return next, pending, nil
}

// Newest returns where the user's newest event is in the log, and when the log got it; of no event, zeros.
func (l *Log) Newest(ctx context.Context, project ident.ProjectID, user ident.UserID) (sequence uint64, at time.Time, err error) {
	prefix, err := userSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return 0, time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	sequence, data, err := l.last(ctx, bus.EventsStream, prefix+">")
	if err != nil || sequence == 0 {
		return 0, time.Time{}, err
	}
	var newest event.Event
	if err := json.Unmarshal(data, &newest); err != nil {
		return 0, time.Time{}, fmt.Errorf("decode the newest of %s: %w", user, err)
	}
	return sequence, time.UnixMilli(newest.CreatedMs), nil
}

// last asks the leader of the stream where the newest message of the subject is, and what it says; of no message, zeros.
func (l *Log) last(ctx context.Context, stream, subject string) (sequence uint64, data []byte, err error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, nil, fmt.Errorf("encode request: %w", err)
	}
	asking := direct.API(l.js) + "STREAM.MSG.GET." + stream
	answer, err := patience.Ask(ctx, func(ctx context.Context) (newest, error) { return l.ask(ctx, asking, request) })
	if err != nil {
		return 0, nil, fmt.Errorf("ask for the newest of %s: %w", subject, err)
	}
	return answer.Sequence, answer.Data, nil
}

// newest is the newest message of a subject, as the leader tells of it.
type newest struct {
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
}

func (l *Log) ask(ctx context.Context, subject string, request []byte) (newest, error) {
	reply, err := l.js.Conn().RequestWithContext(ctx, subject, request)
	if err != nil {
		return newest{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message newest              `json:"message"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return newest{}, fmt.Errorf("decode: %w", err)
	case answer.Error == nil:
		return answer.Message, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return newest{}, nil
	}
	return newest{}, answer.Error
}
