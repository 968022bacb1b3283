package listdb

import (
	"context"
	"fmt"
	"os"
)

// When the log of changes beside the file has grown to walUsual, what it holds is moved into the file, which waits for the disk and holds
// nobody up; at walMost, the writer waits as well. Bytes.
const (
	walUsual = 4 << 20
	walMost  = 256 << 20
)

func (f *File) walSize() int64 {
	info, err := os.Stat(f.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// Checkpoint moves changes into the file, while others read and write, if there are enough of them.
func (f *File) Checkpoint(ctx context.Context) error {
	if f.walSize() < walUsual {
		return nil
	}
	_, err := f.mover.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	return err
}

// Relieve keeps the log from growing without end while readers or writers never rest.
func (f *File) Relieve(ctx context.Context) error {
	if f.walSize() < walMost {
		return nil
	}
	if err := f.execute(context.WithoutCancel(ctx), `PRAGMA wal_checkpoint(RESTART)`); err != nil {
		return fmt.Errorf("move changes into the file: %w", err)
	}
	return nil
}
