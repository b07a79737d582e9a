//go:build !linux

package frontend

import "io/fs"

// change is nothing here: length and date alone tell versions of a file apart.
type change struct{ time int64 }

func changeOf(fs.FileInfo) change { return change{} }
