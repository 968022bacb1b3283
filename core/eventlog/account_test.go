package eventlog_test

import (
	"testing"

	"github.com/keyward/keyward/core/ident"
)

func TestNoReadVouchesForAnAccountThatIsGoneAndNothingOfItsUserIsLeftInTheCache(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"removed from Redis": false, "withdrawn because Redis cannot be reached": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			writer, reader := i.start(quick()), i.start(quick())
			mustAppend(t, writer, failure("usr-1"))
			var stamp string
			for range 3 {
				read, err := reader.Read(t.Context(), project, "usr-1", "")
				if err != nil {
					t.Fatal(err)
				}
				stamp = read.AccountStamp
			}
			if read, err := reader.Read(t.Context(), project, "usr-1", stamp); stamp == "" || err != nil || read.AccountStale {
				t.Fatalf("the stamp %q does not hold before: %+v, %v", stamp, read, err)
			}
			if cut {
				writer.cutOff()
			}
			if err := writer.AccountGone(t.Context(), project, "usr-1"); err != nil {
				t.Fatal(err)
			}
			if !cut {
				if n, err := i.redis.Client.Exists(t.Context(), key("usr-1")).Result(); err != nil || n != 0 {
					t.Errorf("%d entries are left, %v", n, err)
				}
			}
			if read, err := reader.Read(t.Context(), project, "usr-1", stamp); err != nil || !read.AccountStale {
				t.Errorf("the account passes for current: %+v, %v", read, err)
			}
		})
	}
}

func key(user ident.UserID) string { return "{" + string(project) + "/" + string(user) + "}:events" }
