package listing_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/listing"
)

type row struct {
	Name  string
	Size  int64
	At    int64 // Unix ms
	Live  bool
	Words []string
}

var rows = []row{
	{Name: "b", Size: 2, At: 1_764_000_000_500, Live: true, Words: []string{"Ann Lee"}},
	{Name: "a", Size: 10, At: 1_764_000_001_000, Words: []string{"Bo"}},
	{Name: "c:d", Size: -3, At: 1_763_999_999_999, Live: true, Words: []string{"x", "LEEWARD"}},
}

var fields = map[string]listing.Field[row]{
	"name":    listing.String(func(r row) string { return r.Name }),
	"size":    listing.Int(func(r row) int64 { return r.Size }),
	"at":      listing.Time(func(r row) int64 { return r.At }),
	"live":    listing.Bool(func(r row) bool { return r.Live }),
	"search":  listing.Search(func(r row) []string { return r.Words }),
	"ordered": listing.Int(func(r row) int64 { return r.Size }).SortOnly(),
	"chosen":  listing.String(func(r row) string { return r.Name }).FilterOnly(),
}

func TestApply(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		list listing.List
		want []string
	}{
		{"the default order holds if none is asked for", listing.List{}, []string{"a", "b", "c:d"}},
		{"text descending", listing.List{Sort: "name:desc"}, []string{"c:d", "b", "a"}},
		{"numbers are ordered as numbers", listing.List{Sort: "size:asc"}, []string{"c:d", "b", "a"}},
		{"times descending", listing.List{Sort: "at:desc"}, []string{"a", "b", "c:d"}},
		{"false comes before true", listing.List{Sort: "live:asc"}, []string{"a", "b", "c:d"}},
		{"a sort-only field sorts", listing.List{Sort: "ordered:asc"}, []string{"c:d", "b", "a"}},
		{"a filter's value may contain colons", listing.List{Filter: []string{"name:eq:c:d"}}, []string{"c:d"}},
		{"an empty value is a value", listing.List{Filter: []string{"name:eq:"}}, []string{}},
		{"greater", listing.List{Filter: []string{"size:gt:2"}}, []string{"a"}},
		{"less", listing.List{Filter: []string{"size:lt:2"}}, []string{"c:d"}},
		{"all filters must hold", listing.List{Filter: []string{"live:eq:true", "size:gt:0"}}, []string{"b"}},
		{"a time in the wire's form stands for its whole second", listing.List{Filter: []string{"at:eq:2025-11-24T16:00:00"}}, []string{"b"}},
		{"nothing within that second is greater", listing.List{Filter: []string{"at:gt:2025-11-24T16:00:00"}}, []string{"a"}},
		{"nothing within that second is less", listing.List{Filter: []string{"at:lt:2025-11-24T16:00:00Z"}}, []string{"c:d"}},
		{"a date stands for its whole day", listing.List{Filter: []string{"at:eq:2025-11-24"}}, []string{"a", "b", "c:d"}},
		{"nothing within that day is greater", listing.List{Filter: []string{"at:gt:2025-11-24"}}, []string{}},
		{"a day before is less", listing.List{Filter: []string{"at:lt:2025-11-25", "at:gt:2025-11-23"}}, []string{"a", "b", "c:d"}},
		{"a date and time with a zone", listing.List{Filter: []string{"at:eq:2025-11-24T17:00:00+01:00"}}, []string{"b"}},
		{"a time in ms is exact", listing.List{Filter: []string{"at:gt:1764000000499"}}, []string{"a", "b"}},
		{"a time with a fraction is exact", listing.List{Filter: []string{"at:eq:2025-11-24T16:00:00.5Z"}}, []string{"b"}},
		{"search finds a part, letter case aside", listing.List{Filter: []string{"search:eq:lee"}}, []string{"b", "c:d"}},
		{"a filter-only field filters", listing.List{Filter: []string{"chosen:lt:b"}}, []string{"a"}},
		{"the second page", listing.List{Page: 2, PageSize: 2}, []string{"c:d"}},
		{"a page beyond the last is empty", listing.List{Page: 1_000_000_000, PageSize: 1000}, []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(rows)
			page, _, err := listing.Apply(rows, c.list, fields, "name:asc")
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, r := range page {
				got = append(got, r.Name)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, rows); diff != "" {
				t.Error("the items were changed:", diff)
			}
		})
	}
}

func TestTotalsCountWhatTheFiltersLeft(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		list listing.List
		want listing.Paging
	}{
		{"defaults", listing.List{}, listing.Paging{Page: 1, TotalPages: 1, TotalItems: 3}},
		{"a last page that is not full", listing.List{PageSize: 2}, listing.Paging{Page: 1, TotalPages: 2, TotalItems: 3}},
		{"filtered", listing.List{PageSize: 1, Page: 2, Filter: []string{"live:eq:true"}}, listing.Paging{Page: 2, TotalPages: 2, TotalItems: 2}},
		{"nothing", listing.List{Filter: []string{"size:gt:99"}}, listing.Paging{Page: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, paging, err := listing.Apply(rows, c.list, fields, "name:asc")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, paging); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultsNameTheParameter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		list  listing.List
		field string
	}{
		{"unknown sort field", listing.List{Sort: "color:asc"}, "color"},
		{"unknown direction", listing.List{Sort: "name:up"}, "sort"},
		{"no direction", listing.List{Sort: "name"}, "sort"},
		{"a filter-only field cannot sort", listing.List{Sort: "chosen:asc"}, "chosen"},
		{"search cannot sort", listing.List{Sort: "search:asc"}, "search"},
		{"unknown filter field", listing.List{Filter: []string{"color:eq:red"}}, "filter[]"},
		{"unknown op", listing.List{Filter: []string{"name:ne:a"}}, "filter[]"},
		{"one colon only", listing.List{Filter: []string{"name:eq"}}, "filter[]"},
		{"a sort-only field cannot filter", listing.List{Filter: []string{"ordered:eq:1"}}, "filter[]"},
		{"not a number", listing.List{Filter: []string{"size:eq:many"}}, "filter[]"},
		{"not a truth value", listing.List{Filter: []string{"live:eq:yes"}}, "filter[]"},
		{"not a time", listing.List{Filter: []string{"at:eq:noon"}}, "filter[]"},
		{"search with another op", listing.List{Filter: []string{"search:gt:a"}}, "filter[]"},
		{"negative page", listing.List{Page: -1}, "page"},
		{"page size over the limit", listing.List{PageSize: 1001}, "pageSize"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := listing.Apply(rows, c.list, fields, "name:asc")
			var f *fault.Fault
			if !errors.As(err, &f) || len(f.Validation) != 1 {
				t.Fatalf("want a fault of one field, got %v", err)
			}
			if f.Validation[0].Field != c.field {
				t.Errorf("field %q at fault, want %q", f.Validation[0].Field, c.field)
			}
		})
	}
}

func FuzzApply(f *testing.F) {
	f.Add("name:asc", "at:gt:2025-11-24T16:00:00", 1, 10)
	f.Add("size:desc", "size:lt:-9223372036854775808", 1_000_000_000, 1000)
	f.Add(":", "::", -1, -1)
	f.Fuzz(func(t *testing.T, sort, filter string, page, size int) {
		got, paging, err := listing.Apply(
			rows, listing.List{Sort: sort, Filter: []string{filter}, Page: page, PageSize: size}, fields, "name:asc",
		)
		if err != nil {
			if fault.As(err).Status != 400 {
				t.Fatalf("not the caller's fault: %v", err)
			}
			return
		}
		if len(got) > int(paging.TotalItems) || len(got) > listing.MaxPageSize {
			t.Fatalf("page of %d of %d", len(got), paging.TotalItems)
		}
	})
}
