package tablerow_test

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/services/decision/internal/tablerow"
)

const login = `package keyward.login

import data.keyward.table

default decision := {"rule": "L10"}

decision := table.deny("t", "L7a") if input.a

else := {"rule": "VIP"} if input.b

else := table.deny("t", "L7b") if input.c
`

func TestRowsAreFoundWhereverTheyAreWritten(t *testing.T) {
	t.Parallel()
	rows, err := tablerow.List(fstest.MapFS{
		"lib/table.rego":        {Data: []byte("package keyward.table\n\ndeny(tag, row) := {\"rule\": row, \"tag\": tag}\n")},
		"login/login.rego":      {Data: []byte(login)},
		"login/login_test.rego": {Data: []byte("package keyward.login_test\n\nrow := {\"rule\": \"L99\"}\n")},
		"README.md":             {Data: []byte("no rego")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"VIP", "L7a", "L7b", "L10"}, rows["login"]); diff != "" {
		t.Error(diff)
	}
}
