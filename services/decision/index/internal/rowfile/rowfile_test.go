package rowfile_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/services/decision/index/internal/rowfile"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

var begin = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// world is a file, and what it is to hold.
type world struct {
	t    testing.TB
	cfg  rowfile.Config
	file *rowfile.File
	now  time.Time
	next uint64
	rows []rowfile.Row
	rand *rand.Rand
}

func newWorld(t testing.TB, cfg rowfile.Config) *world {
	t.Helper()
	w := &world{t: t, now: begin, rand: rand.New(rand.NewPCG(1, 2))}
	cfg.Path = filepath.Join(t.TempDir(), "index.db")
	cfg.Now = func() time.Time { return w.now }
	w.cfg = cfg
	w.open()
	return w
}

func (w *world) open() {
	w.t.Helper()
	w.file = rowfile.New(w.cfg)
	if _, err := w.file.Open(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	file := w.file
	w.t.Cleanup(func() { _ = file.Close() })
}

func (w *world) reopen() {
	w.t.Helper()
	if err := w.file.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func pick(r *rand.Rand, words ...string) string { return words[r.IntN(len(words))] }

// row is a decision such as there are many.
func row(r *rand.Rand, sequence uint64, at time.Time, users int) rowfile.Row {
	o := outline.Outline{
		ID: fmt.Sprintf("dec-%013d%012d", at.UnixMilli(), r.Int64N(1e12)), Time: at.Truncate(time.Millisecond),
		Project: pick(r, "pro-1", "pro-2"),
		Action:  pick(r, "login", "append", "risk"), Rule: pick(r, "L1", "L7a", "L13", "A2"),
		Tag:   pick(r, "user-positive", "user-env-no-pks", ""),
		Allow: r.IntN(3) == 0, Memoised: r.IntN(2) == 0, DurationMicros: r.Int64N(5000), Revision: "0123456789ab",
	}
	o.Said = outline.Said{
		OS:      pick(r, "ios", "android", "windows"),
		Browser: pick(r, "safari", "chrome", "firefox", "edge"), Device: pick(r, "phone", "desktop"),
		Verdict: pick(r, "allow", "allow", "review", "deny"),
		Level:   pick(r, "low", "medium"),
	}
	if r.IntN(10) > 0 {
		o.User = fmt.Sprintf("usr-%d", 1+r.IntN(users))
		o.Process = fmt.Sprintf("%08x-5f0e-4a8b-9d55-2d8c1d3c8a11", r.Uint32())
	}
	if o.Verdict != "allow" {
		o.Reasons = []string{pick(r, "bot", "new-country"), "velocity"}
	}
	return rowfile.Row{Sequence: sequence, Outline: o}
}

func recordOf(r rowfile.Row) []byte {
	text := fmt.Appendf(nil, `{"schema":2,"id":%q,"time":%q,"project":%q`, r.ID, r.Time.Format(time.RFC3339Nano), r.Project)
	if r.User != "" {
		text = fmt.Appendf(text, `,"user":%q,"process":%q`, r.User, r.Process)
	}
	text = fmt.Appendf(text, `,"action":%q,"policyRevision":%q,"policyHash":"h","rule":%q,"tag":%q,"allow":%t,"durationMicros":%d,`+
		`"memoised":%t`,
		r.Action, r.Revision, r.Rule, r.Tag, r.Allow, r.DurationMicros, r.Memoised)
	text = fmt.Appendf(text, `,"outline":{"os":%q,"browser":%q,"device":%q`, r.OS, r.Browser, r.Device)
	if r.Reasons != nil {
		text = fmt.Appendf(text, `,"reasons":[%q,%q]`, r.Reasons[0], r.Reasons[1])
	}
	return fmt.Appendf(text, `,"verdict":%q,"level":%q},"question":null}`, r.Verdict, r.Level)
}

func message(r rowfile.Row) direct.Message {
	return direct.Message{RawStreamMsg: &jetstream.RawStreamMsg{
		Subject: "passkey.decisions." + r.Project + "._." + r.Action, Sequence: r.Sequence, Time: r.Time, Data: recordOf(r),
	}}
}

// add takes up decisions, each gap sequences after the one before, and each later by a step.
func (w *world) add(n, users int, gap uint64, step time.Duration) {
	w.t.Helper()
	var messages []direct.Message
	for range n {
		w.next += gap
		w.now = w.now.Add(step)
		r := row(w.rand, w.next, w.now, users)
		w.rows = append(w.rows, r)
		messages = append(messages, message(r))
	}
	w.take(rowfile.Decisions, w.next, messages...)
}

func (w *world) take(source int, last uint64, messages ...direct.Message) {
	w.t.Helper()
	at := projection.Position{Made: begin, Sequence: last}
	if err := w.file.Take(w.t.Context(), projection.Batch{Source: source, Messages: messages, Position: at}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) erase(project, user string) {
	w.t.Helper()
	w.take(rowfile.Deletions, 1, direct.Message{RawStreamMsg: &jetstream.RawStreamMsg{
		Subject: "passkey.events." + project + "." + user + ".user-deleted", Sequence: 1,
	}})
	w.rows = slices.DeleteFunc(w.rows, func(r rowfile.Row) bool { return r.Project == project && r.User == user })
}

// has reports whether a decision has what a term asks for.
func has(r *rowfile.Row, t rowfile.Term) bool {
	switch t.Of {
	case rowfile.Project:
		return r.Project == t.Word
	case rowfile.Action:
		return r.Action == t.Word
	case rowfile.Rule:
		return r.Rule == t.Word
	case rowfile.Tag:
		return r.Tag == t.Word
	case rowfile.Allow:
		return fmt.Sprint(r.Allow) == t.Word
	case rowfile.Reason:
		return slices.Contains(r.Reasons, t.Word)
	case rowfile.Browser:
		return r.Browser == t.Word
	case rowfile.User:
		return r.User == t.Word && (t.Project == "" || t.Project == r.Project)
	case rowfile.Process:
		return r.Process == t.Word
	}
	panic("the test knows nothing of the dimension")
}

// expect is what a query is to be answered.
func (w *world) expect(q rowfile.Query) (page []rowfile.Row, total int) {
	var all []rowfile.Row
	for _, r := range w.rows {
		ms := r.Time.UnixMilli()
		if (len(q.IDs) == 0 || q.IDs[0] == r.ID) && ms >= q.From && ms <= q.Until && r.Sequence > q.After &&
			!slices.ContainsFunc(q.Terms, func(t rowfile.Term) bool { return !has(&r, t) }) {
			all = append(all, r)
		}
	}
	if !q.Oldest {
		slices.Reverse(all)
	}
	from := min(q.Offset, len(all))
	return all[from:min(from+q.Most, len(all))], len(all)
}

func (w *world) check(t rapid.TB, q rowfile.Query) {
	t.Helper()
	got, err := w.file.Find(w.t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	want, total := w.expect(q)
	if diff := cmp.Diff(want, got.Rows); (len(want) > 0 || len(got.Rows) > 0) && diff != "" || got.Total != total {
		t.Fatalf("%+v: %d, want %d (-want +got)\n%s", q, got.Total, total, diff)
	}
}

// checkCount counts what a query lets through by every word of some dimensions.
func (w *world) checkCount(t rapid.TB, q rowfile.Query, span int64) {
	t.Helper()
	q.Offset, q.Most, q.IDs, q.After = 0, len(w.rows), nil, 0
	rows, total := w.expect(q)
	for by, words := range map[rowfile.Dimension]func(rowfile.Row) []string{
		rowfile.Rule: func(r rowfile.Row) []string { return []string{r.Rule} },
		rowfile.Tag: func(r rowfile.Row) []string {
			return slices.DeleteFunc([]string{r.Tag}, func(s string) bool { return s == "" })
		},
		rowfile.Reason: func(r rowfile.Row) []string { return r.Reasons },
	} {
		want := map[rowfile.Cell]int{}
		for _, r := range rows {
			for _, word := range words(r) {
				cell := rowfile.Cell{Word: word}
				if span > 0 {
					cell.Start = r.Time.UnixMilli() / span * span
				}
				want[cell]++
			}
		}
		told, err := w.file.Count(w.t.Context(), q, by, span)
		if err != nil {
			t.Fatal(err)
		}
		got := map[rowfile.Cell]int{}
		for _, cell := range told.Cells {
			got[rowfile.Cell{Word: cell.Word, Start: cell.Start}] = cell.Count
		}
		if diff := cmp.Diff(want, got); diff != "" || told.Total != total {
			t.Fatalf("%+v by %d and %d ms: %d in all, want %d (-want +got)\n%s", q, by, span, told.Total, total, diff)
		}
	}
}

func drawTerm(t *rapid.T, w *world) rowfile.Term {
	some := w.rows[rapid.IntRange(0, len(w.rows)-1).Draw(t, "as of")]
	return rapid.SampledFrom([]rowfile.Term{
		{Of: rowfile.Project, Word: some.Project}, {Of: rowfile.Action, Word: some.Action}, {Of: rowfile.Rule, Word: some.Rule},
		{Of: rowfile.Tag, Word: "user-positive"}, {Of: rowfile.Allow, Word: "false"}, {Of: rowfile.Reason, Word: "bot"},
		{Of: rowfile.Browser, Word: some.Browser}, {Of: rowfile.Rule, Word: "none has it"},
		{Of: rowfile.User, Word: "usr-3"}, {Of: rowfile.User, Word: "usr-4", Project: "pro-1"}, {Of: rowfile.Process, Word: "none"},
		{Of: rowfile.Process, Word: "00000000-5f0e-4a8b-9d55-2d8c1d3c8a11"},
	}).Draw(t, "term")
}

func TestWhatIsFoundIsWhatALookAtEveryDecisionFinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rowfile.Config{})
	w.add(3000, 40, 1, 10*time.Millisecond)
	w.add(4000, 40, 9, 10*time.Millisecond) // over three segments
	w.erase("pro-1", "usr-5")
	w.add(500, 40, 1, 10*time.Millisecond)
	w.rows = slices.DeleteFunc(w.rows, func(r rowfile.Row) bool { return r.Project == "pro-1" && r.User == "usr-5" }) // late ones
	for _, how := range []string{"as it was written", "opened again"} {
		t.Run(how, func(t *testing.T) {
			if how == "opened again" {
				w.reopen()
			}
			rapid.Check(t, func(t *rapid.T) {
				q := rowfile.Any()
				for range rapid.IntRange(0, 3).Draw(t, "terms") {
					q.Terms = append(q.Terms, drawTerm(t, w))
				}
				if rapid.Bool().Draw(t, "within a time") {
					q.From = begin.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "from")) * time.Millisecond).UnixMilli()
					q.Until = q.From + rapid.Int64Range(0, 60_000).Draw(t, "for")
				}
				q.Oldest = rapid.Bool().Draw(t, "the oldest first")
				q.Offset, q.Most = rapid.SampledFrom([]int{0, 1, 20, 4000}).Draw(t, "from the"), rapid.SampledFrom([]int{1, 10, 100}).Draw(t, "most")
				if rapid.IntRange(0, 5).Draw(t, "by ID") == 0 {
					q.IDs, q.Offset = []string{w.rows[rapid.IntRange(0, len(w.rows)-1).Draw(t, "whose")].ID}, 0
				}
				if rapid.IntRange(0, 3).Draw(t, "after") == 0 {
					q.After, q.Oldest = rapid.Uint64Range(1, w.next).Draw(t, "after which"), true
				}
				w.check(t, q)
				w.checkCount(t, q, rapid.SampledFrom([]int64{0, 5000}).Draw(t, "by parts of"))
			})
		})
	}
}

func TestAUserWhoWasDeletedIsInNoRow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rowfile.Config{})
	w.add(2000, 10, 20, time.Millisecond)
	w.erase("pro-1", "usr-7")
	w.reopen()
	q := rowfile.Any()
	q.Most, q.Terms = 1000, []rowfile.Term{{Of: rowfile.User, Word: "usr-7", Project: "pro-1"}}
	w.check(t, q)
	q.Terms = nil
	w.check(t, q)
	// Every byte of the file that says who it was is gone with the rows that had it.
	page, err := w.file.Find(t.Context(), q)
	if err != nil || slices.ContainsFunc(page.Rows, func(r rowfile.Row) bool { return r.User == "usr-7" && r.Project == "pro-1" }) {
		t.Errorf("%v", err)
	}
}

func TestWhatIsTooOldOrTooMuchGoesTheOldestFirst(t *testing.T) {
	t.Parallel()
	t.Run("too old", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, rowfile.Config{MaxAge: time.Minute})
		for range 10 {
			w.add(500, 40, 9, 20*time.Millisecond)
		}
		w.now = w.now.Add(20 * time.Second)
		w.add(1, 1, 1, 0)
		w.rows = slices.DeleteFunc(w.rows, func(r rowfile.Row) bool { return r.Time.Before(w.now.Add(-time.Minute)) })
		q := rowfile.Any()
		q.Most = 10
		w.check(t, q)
		w.reopen()
		w.check(t, q)
		if len(w.rows) == 0 || len(w.rows) > 3000 {
			t.Fatalf("%d are left", len(w.rows))
		}
	})
	t.Run("too much", func(t *testing.T) {
		t.Parallel()
		const most = 3 << 20
		w := newWorld(t, rowfile.Config{MaxSize: most})
		for range 120 {
			w.add(1000, 1000, 1, 20*time.Millisecond)
		}
		page, err := w.file.Find(t.Context(), rowfile.Query{From: 0, Until: w.now.UnixMilli(), Most: 1})
		if err != nil || page.Total < 16_000 || page.Total > 60_000 {
			t.Fatalf("%d are left, %v", page.Total, err)
		}
		info, err := os.Stat(w.cfg.Path)
		if err != nil || info.Size() > 2*most {
			t.Errorf("%d bytes, %v", info.Size(), err)
		}
		w.rows = w.rows[len(w.rows)-page.Total:]
		q := rowfile.Any()
		q.Most, q.Terms = 10, []rowfile.Term{{Of: rowfile.Rule, Word: "L1"}}
		w.check(t, q)
	})
}

func TestWhatIsLeftOutIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rowfile.Config{Rate: 100})
	for range 10 {
		w.add(1000, 40, 1, time.Millisecond)
	}
	broken := &jetstream.RawStreamMsg{Sequence: w.next + 1, Time: w.now, Data: []byte("{}")}
	w.take(rowfile.Decisions, w.next+1, direct.Message{RawStreamMsg: broken})
	for range 2 {
		page, err := w.file.Find(t.Context(), rowfile.Any())
		if err != nil || page.Indexed+page.Omitted != 10_000 || page.Unread != 1 || page.Indexed < 800 || page.Indexed > 1300 {
			t.Errorf("%+v, %v", page.Coverage, err)
		}
		w.reopen()
	}
}

func TestAFileThatIsDamagedSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, rowfile.Config{})
	w.add(2000, 40, 20, time.Millisecond)
	if w.file.Gone() {
		t.Error("it is said to be gone")
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(w.cfg.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 20_000; at < len(raw); at++ {
		raw[at] = 0xa5
	}
	if err := os.WriteFile(w.cfg.Path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	file := rowfile.New(w.cfg)
	_, err = file.Open(t.Context())
	if err == nil {
		_, err = file.Find(t.Context(), rowfile.Query{Until: 1 << 62, Most: 1000})
	}
	if !file.Damaged(err) {
		t.Errorf("%v is no damage", err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if err := file.Remove(); err != nil || !file.Gone() {
		t.Errorf("it is still there, %v", err)
	}
	if _, err := file.Open(t.Context()); err != nil {
		t.Errorf("it is not made anew: %v", err)
	}
	if page, err := file.Find(t.Context(), rowfile.Any()); err != nil || page.Total != 0 {
		t.Errorf("%+v, %v", page, err)
	}
	_ = file.Close()
	if _, err := file.Find(context.Background(), rowfile.Any()); err == nil {
		t.Error("a closed file answers")
	}
}
