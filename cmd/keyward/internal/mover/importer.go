// Package mover moves users in and out of a running server: an importer that streams a file to the services, and an exporter that reads
// what the stores hold. Both can be interrupted and go on where they stopped. It touches the bus, and the files and streams that it is
// given.
package mover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/transfer"
)

const (
	maxLine    = 3 << 20 // bytes; a record must fit into a message
	chunkBytes = 1 << 20 // of lines that are under way at once
	chunkLines = 512
	perCall    = 16        // users in one call
	callBytes  = 512 << 10 // of events in one call
	callers    = 16        // calls at once
	retryFor   = time.Minute
)

// Import is one run of an importer.
type Import struct {
	Project ident.ProjectID
	Users   service.UserImporter
	Events  service.EventImporter
	DryRun  bool
	// Refused is told of every line that cannot be imported, in their order.
	Refused func(BadLine) error
	// Done is told after each chunk how far the input is stored. What is before it needs not be read again.
	Done func(Progress) error
}

// BadLine is a line that was not imported, and why.
type BadLine struct {
	Line   int                `json:"line"` // from 1
	Faults []fault.FieldError `json:"faults"`
}

// Progress says how far an import is.
type Progress struct {
	Line    int   `json:"line"`   // lines read
	Offset  int64 `json:"offset"` // bytes read
	Counts  Count `json:"counts"`
	Skipped int   `json:"skipped"` // records of an export that are not for importing
}

// Count says what came of the records.
type Count struct {
	Users     int `json:"users"` // created
	Events    int `json:"events"`
	Unchanged int `json:"unchanged"` // users and events that were there already
	Refused   int `json:"refused"`
}

// line is one record under way.
type line struct {
	number  int
	record  transfer.Record
	outcome transfer.Imported
	skipped bool
}

// Run imports everything that input holds after from. Bad lines are told and passed over. An error means that it stopped early; what Done
// was told is stored.
func (im Import) Run(ctx context.Context, input io.Reader, from Progress) (Progress, error) {
	reader := bufio.NewReaderSize(input, chunkBytes)
	progress, seen := from, duplicates{}
	for {
		lines, size, readErr := im.readChunk(reader, progress.Line)
		if len(lines) > 0 {
			seen.find(lines)
			if err := im.store(ctx, lines); err != nil {
				return progress, err
			}
			if err := im.account(&progress, lines); err != nil {
				return progress, err
			}
		}
		progress.Line += lineCount(lines, progress.Line)
		progress.Offset += size
		if err := im.Done(progress); err != nil {
			return progress, err
		}
		if errors.Is(readErr, io.EOF) {
			return progress, nil
		}
		if readErr != nil {
			return progress, fmt.Errorf("read line %d: %w", progress.Line+1, readErr)
		}
	}
}

// lineCount returns how many lines were read after the given one.
func lineCount(lines []*line, after int) int {
	if len(lines) == 0 {
		return 0
	}
	return lines[len(lines)-1].number - after
}

// readChunk reads lines until there are enough for a round of calls.
func (im Import) readChunk(reader *bufio.Reader, after int) (lines []*line, size int64, err error) {
	number := after
	for size < chunkBytes && len(lines) < chunkLines {
		raw, length, err := readLine(reader)
		if length == 0 && err != nil {
			return lines, size, err
		}
		number++
		size += length
		l := &line{number: number}
		lines = append(lines, l)
		if len(raw) > maxLine {
			l.refuse("", fmt.Sprintf("is longer than %d bytes", maxLine))
		} else if l.record, err = transfer.Parse(bytes.TrimSpace(raw)); err != nil {
			l.refuse("", err.Error())
		}
		l.skipped = l.outcome.Outcome == "" && l.record.User == nil && l.record.Event == nil
	}
	return lines, size, nil
}

// readLine returns a line with its end, and its length. Of one that is too long it keeps only as much as shows that.
func readLine(reader *bufio.Reader) (kept []byte, length int64, err error) {
	for {
		part, err := reader.ReadSlice('\n')
		length += int64(len(part))
		if len(kept) <= maxLine {
			kept = append(kept, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return kept, length, err
		}
	}
}

func (l *line) refuse(field, message string) {
	l.outcome = transfer.Imported{Outcome: transfer.ImportRefused, Faults: []fault.FieldError{{Field: field, Message: message}}}
}

// open reports whether the line still waits for an answer.
func (l *line) open() bool { return l.outcome.Outcome == "" && !l.skipped }

// store makes the calls of one chunk: users before events, which need them.
func (im Import) store(ctx context.Context, lines []*line) error {
	var users []*line
	var events []*line
	for _, l := range lines {
		switch {
		case !l.open():
		case l.record.User != nil:
			users = append(users, l)
		default:
			events = append(events, l)
		}
	}
	if err := im.each(ctx, batches(users), im.storeUsers); err != nil {
		return err
	}
	return im.each(ctx, im.byUser(events), im.storeEvents)
}

// batches splits lines into calls of a bounded number.
func batches(lines []*line) [][]*line {
	var all [][]*line
	for len(lines) > perCall {
		all, lines = append(all, lines[:perCall]), lines[perCall:]
	}
	if len(lines) > 0 {
		all = append(all, lines)
	}
	return all
}

// byUser splits events into calls. Those of one user stay together and in order, so that no two calls append to one user.
func (im Import) byUser(lines []*line) [][]*line {
	groups := make([][]*line, callers)
	for _, l := range lines {
		var hash uint32
		for _, c := range []byte(l.record.Event.User) {
			hash = hash*31 + uint32(c)
		}
		groups[hash%callers] = append(groups[hash%callers], l)
	}
	return groups
}

func (im Import) each(ctx context.Context, calls [][]*line, do func(context.Context, []*line) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(callers)
	for _, lines := range calls {
		if len(lines) > 0 {
			group.Go(func() error { return do(ctx, lines) })
		}
	}
	return group.Wait()
}

func (im Import) storeUsers(ctx context.Context, lines []*line) error {
	request := transfer.UserImport{DryRun: im.DryRun}
	for _, l := range lines {
		request.Users = append(request.Users, *l.record.User)
	}
	return settle(ctx, lines, func() ([]transfer.Imported, error) {
		return im.Users.ImportUsers(ctx, service.ForProject[transfer.UserImport]{Project: im.Project, Body: request})
	})
}

func (im Import) storeEvents(ctx context.Context, lines []*line) error {
	for len(lines) > 0 {
		n := min(len(lines), callBytes/1024)
		request := transfer.EventImport{DryRun: im.DryRun}
		for _, l := range lines[:n] {
			request.Events = append(request.Events, *l.record.Event)
		}
		err := settle(ctx, lines[:n], func() ([]transfer.Imported, error) {
			return im.Events.ImportEvents(ctx, service.ForProject[transfer.EventImport]{Project: im.Project, Body: request})
		})
		if err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

// settle makes a call until it is answered. Calls can be repeated: a record that was stored already is there once.
func settle(ctx context.Context, lines []*line, call func() ([]transfer.Imported, error)) error {
	answers, err := backoff.Retry(ctx, func() ([]transfer.Imported, error) {
		answers, err := call()
		if err != nil && !errors.Is(fault.As(err), fault.TypeUnavailable) {
			return nil, backoff.Permanent(err)
		}
		return answers, err
	}, backoff.WithMaxElapsedTime(retryFor))
	if err != nil {
		return fmt.Errorf("import lines %d to %d: %w", lines[0].number, lines[len(lines)-1].number, err)
	}
	if len(answers) != len(lines) {
		return fmt.Errorf(
			"import lines %d to %d: %d answers to %d records", lines[0].number, lines[len(lines)-1].number, len(answers), len(lines),
		)
	}
	for i, l := range lines {
		l.outcome = answers[i]
	}
	return nil
}

// account counts what came of a chunk and tells of its bad lines.
func (im Import) account(progress *Progress, lines []*line) error {
	for _, l := range lines {
		switch {
		case l.skipped:
			progress.Skipped++
		case l.outcome.Outcome == transfer.ImportRefused:
			progress.Counts.Refused++
			if err := im.Refused(BadLine{Line: l.number, Faults: l.outcome.Faults}); err != nil {
				return err
			}
		case l.outcome.Outcome == transfer.ImportUnchanged:
			progress.Counts.Unchanged++
		case l.record.User != nil:
			progress.Counts.Users++
		default:
			progress.Counts.Events++
		}
	}
	return nil
}

// duplicates remembers what must be one user's alone, and on which line it was met. The server finds what clashes with what is stored; a
// dry run stores nothing, so clashes within the file are found here. It takes about 60 bytes an entry.
type duplicates map[string]int

func (d duplicates) find(lines []*line) {
	for _, l := range lines {
		if !l.open() || l.record.User == nil {
			continue
		}
		for _, name := range names(*l.record.User) {
			if first, met := d[name.key]; met && first != l.number {
				l.refuse(name.field, fmt.Sprintf("is on line %d already", first))
				break
			}
			d[name.key] = l.number
		}
	}
}

// name is something that belongs to one user.
type name struct{ field, key string }

func names(u transfer.User) []name {
	var all []name
	if u.ID != "" {
		all = append(all, name{"userID", "u" + string(u.ID)})
	}
	if len(u.UserHandle) > 0 {
		all = append(all, name{"userHandle", "h" + string(u.UserHandle)})
	}
	for i, one := range u.Identifiers {
		all = append(all, name{fmt.Sprintf("identifiers.%d.value", i), "i" + string(one.Type) + ":" + account.IdentifierKey(one.Type, one.Value)})
	}
	for i, one := range u.SocialAccounts {
		all = append(all, name{fmt.Sprintf("socialAccounts.%d.foreignID", i), "s" + string(one.Provider) + ":" + one.ForeignID})
	}
	for i, one := range u.Credentials {
		all = append(all, name{fmt.Sprintf("credentials.%d.credentialID", i), "c" + string(one.CredentialID)})
	}
	return all
}
