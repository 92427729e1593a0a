package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sumsFile is the name of the checksums.
const sumsFile = "SHA256SUMS"

// sumOf returns the line of a file in the checksums.
func sumOf(name string, content []byte) string {
	return fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name)
}

// earlier returns the names of the files of an earlier release, none if the folder is empty or does not exist. It refuses a
// folder with anything else, since a new release would replace it.
func earlier(folder string) (names []string, err error) {
	info, err := os.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("-o: %s is not a folder", folder)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	sums, err := os.ReadFile(filepath.Join(folder, sumsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		if err := isOfRelease(folder, entry, string(sums)); err != nil {
			return nil, fmt.Errorf("-o: %s would be replaced, but %s %w", folder, entry.Name(), err)
		}
		names = append(names, entry.Name())
	}
	for _, name := range []string{"cluster.yaml", "install.yaml", "LICENSES.txt"} {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("-o: %s would be replaced, but it is not a release: it has no %s", folder, name)
		}
	}
	return names, nil
}

// isOfRelease returns an error unless a file is as the checksums of a release have it, or is these.
func isOfRelease(folder string, entry fs.DirEntry, sums string) error {
	listed := strings.Contains(sums, "  "+entry.Name()+"\n")
	switch {
	case entry.Name() == sumsFile && entry.Type().IsRegular():
		return nil
	case !listed || !entry.Type().IsRegular():
		return errors.New("is not of an earlier release")
	}
	content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	if !strings.Contains(sums, sumOf(entry.Name(), content)) {
		return errors.New("was changed since the release that it is of")
	}
	return nil
}

// removeEarlier removes the folder of an earlier release, and never a file that is not of it.
func removeEarlier(folder string) error {
	names, err := earlier(folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	if err := os.Remove(folder); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
