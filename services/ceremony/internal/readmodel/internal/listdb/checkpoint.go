package listdb

import (
	"context"
	"fmt"
)

// When the log of changes beside the file holds walUsual that is not in the file yet, it is due to be moved there, which waits for the disk
// and holds nobody up; when it has grown to walMost, the writer waits as well. Pages of 4 KiB. The length of the log's file says neither:
// it is written over from its beginning and does not shrink.
const (
	walUsual = 4 << 20 >> 12
	walMost  = 256 << 20 >> 12
)

// log returns how many pages the log of changes holds, and how many of them are not in the file yet.
func (f *File) log(ctx context.Context) (pages, unmoved int64, err error) {
	var busy, moved int64
	err = f.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(NOOP)`).Scan(&busy, &pages, &moved)
	if err != nil {
		return 0, 0, fmt.Errorf("look at the log of changes: %w", err)
	}
	return pages, pages - moved, nil
}

// Checkpoint moves changes into the file, while others read and write.
func (f *File) Checkpoint(ctx context.Context) error {
	_, err := f.mover.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
	return err
}

// Relieve keeps the log from growing without end while readers or writers never rest. It reports whether Checkpoint is due.
func (f *File) Relieve(ctx context.Context) (due bool, err error) {
	ctx = context.WithoutCancel(ctx)
	pages, unmoved, err := f.log(ctx)
	if err != nil {
		return false, err
	}
	if pages < walMost {
		return unmoved >= walUsual, nil
	}
	if err := f.execute(ctx, `PRAGMA wal_checkpoint(RESTART)`); err != nil {
		return false, fmt.Errorf("move changes into the file: %w", err)
	}
	return false, nil
}
