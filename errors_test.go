package keyward_test

import (
	"go/parser"
	"go/token"
	"testing"
)

// edges are where faults are written for callers, where answers are read that others wrote, or where tests say which they want: a status
// means something there.
var edges = []string{
	"core/fault/", "core/rpc/", "services/gateway/", "services/ceremony/ceremonytest/", "cmd/keyward/", "bench/", "test/", "sdk/",
}

// TestErrorsAreToldByWhatTheyAre holds the tree to errors.Is and errors.As. A message may be put in other words, and several failures share
// a field or a status.
func TestErrorsAreToldByWhatTheyAre(t *testing.T) {
	t.Parallel()
	files := goFiles(t, ".", parser.SkipObjectResolution)
	if len(files) < 100 {
		t.Fatalf("found %d files", len(files))
	}
	for _, f := range files {
		for _, found := range comparisons(f) {
			t.Error(found)
		}
	}
}

func TestAComparisonOfWhatAnErrorSaysIsFound(t *testing.T) {
	t.Parallel()
	const head = "package x\nfunc x(v fault.FieldError) {\n"
	for source, want := range map[string]bool{
		`if err.Error() == "no" {}`:                          true,
		`if "no" != errors.Unwrap(err).Error() {}`:           true,
		`switch err.Error() { case "no": }`:                  true,
		`if strings.Contains(err.Error(), "no") {}`:          true,
		`if strings.HasPrefix(err.Error(), "no") {}`:         true,
		`if f.Validation[0] == other {}`:                     true,
		`if f.Validation[0].Field == "userID" {}`:            true,
		`if len(f.Validation) == 1 {}`:                       true,
		`if fault.As(err).Status == 409 {}`:                  true,
		`if f.Status >= http.StatusInternalServerError {}`:   true,
		`switch f.Status { case 400: }`:                      true,
		`switch { case f.Status == http.StatusBadRequest: }`: true,
		`if f.Type == fault.TypeUnavailable {}`:              true,
		`if f.Reason == account.ErrUnknown.Reason {}`:        true,

		// The same in a roundabout way.
		`if f.Status/100 == 4 {}`:                                                   true,
		`if (f.Status) == 404 {}`:                                                   true,
		`if s := f.Status; s == 404 {}`:                                             true,
		`var s = f.Status; switch s { case http.StatusNotFound: }`:                  true,
		`msg := err.Error(); if msg == "no" {}`:                                     true,
		`msg := strings.ToLower(err.Error()); if strings.Contains(msg, "no") {}`:    true,
		`if err.Error()[:2] == "no" {}`:                                             true,
		`if fmt.Sprint(err) == "no" {}`:                                             true,
		`if fmt.Sprintf("%v", cause) == "no" {}; cause := errors.Unwrap(err)`:       true,
		`if fault.Words(err) == "no" {}`:                                            true,
		`if strings.HasSuffix(fault.Words(err), "no") {}`:                           true,
		`if regexp.MustCompile("no").MatchString(err.Error()) {}`:                   true,
		`if ok, _ := regexp.MatchString("no", err.Error()); ok {}`:                  true,
		`if at := line.FindStringSubmatch(err.Error()); at != nil {}`:               true,
		`if bytes.Contains([]byte(err.Error()), no) {}`:                             true,
		`if slices.Contains(known, err.Error()) {}`:                                 true,
		`switch { case strings.EqualFold("no", err.Error()): }`:                     true,
		`if f.Type == "validation_error" {}`:                                        true,
		`switch string(f.Type) { case "validation_error": }`:                        true,
		`switch string(f.Type) { case string(fault.TypeNotFound): }`:                true,
		`if f.Reason == "no" {}`:                                                    true,
		`if f.Reason == service.ReasonDenied {}`:                                    true,
		`switch f.Reason { case "no": }`:                                            true,
		`if f.Details == "no" {}`:                                                   true,
		`if strings.Contains(f.Details, "no") {}`:                                   true,
		`for _, v := range f.Validation { if v.Message == "no" {} }`:                true,
		`for i := range f.Validation { if f.Validation[i].Message == "no" {} }`:     true,
		`if v.Field == "userID" {}`:                                                 true,
		`slices.ContainsFunc(all, func(w fault.FieldError) bool { return w == x })`: true,

		`if errors.Is(err, account.ErrUnknown) {}`:      false,
		`if a.Status == account.Active {}`:              false,
		`if challenge.Type == event.LoginError {}`:      false,
		`fmt.Println(err.Error() + "!")`:                false,
		`if batch.Error() != nil {}`:                    false,
		`f := fault.Fault{Status: http.StatusConflict}`: false,
		`if f.Details != "" {}`:                         false,
		`if row.Reason == "" || row.Reason == known {}`: false,
		`if e.Type == "login-error" {}`:                 false,
		`if notice.Message == "hello" {}`:               false,
		`log(fault.Words(err), fmt.Sprint(err))`:        false,
		`msg := err.Error(); log(msg)`:                  false,
	} {
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, "core/x/x.go", head+source+"\n}", parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if found := comparisons(goFile{"core/x/x.go", set, tree}); (len(found) > 0) != want {
			t.Errorf("%s: found %q", source, found)
		}
	}
}
