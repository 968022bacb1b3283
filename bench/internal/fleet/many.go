package fleet

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/valyala/fasthttp"
)

// firstImported is the number of the first user that Import brings.
const firstImported = 1_000_000_000

// Import brings in so many users with a passkey each, as an operator moves them, of whom nobody has done anything yet.
func (f *Fleet) Import(ctx context.Context, c *Contender, data string, users int) error {
	name := filepath.Join(f.Dir, filepath.Base(data)+".jsonl")
	if err := writeUsers(name, users); err != nil {
		return fmt.Errorf("write users: %w", err)
	}
	cmd := exec.CommandContext(ctx, f.Settings.Keyward, "user", "import", "--data-dir", data, "--project", Project, name)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import users for %s: %w: %s", c.Name, err, said)
	}
	return os.Remove(name)
}

func writeUsers(name string, users int) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	w := bufio.NewWriter(file)
	for i := range users {
		user := ImportedUser(i)
		id := sha256.Sum256([]byte(user))
		fmt.Fprintf(
			w, `{"user":{"userID":%q,"fullName":"Bench","status":"active","userHandle":%q,"credentials":[{"credentialID":%q,`+
				`"publicKey":"pQECAyYgASFYIGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWIlggT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",`+
				`"transports":["internal","hybrid"],"backupEligible":true,"backupState":true}]}}`+"\n",
			user, base64.RawURLEncoding.EncodeToString([]byte(user)), base64.RawURLEncoding.EncodeToString(id[:]),
		)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// ImportedUser returns the ID of the nth user that Import brings.
func ImportedUser(n int) string { return fmt.Sprint("usr-", firstImported+n) }

// ImportedStart is the login start of the nth of them, in a browser that has not been seen.
func ImportedStart(address string, n int) *fasthttp.Request {
	return loginStart(Project, address, ImportedUser(n), "")
}
