// Reads and writes a flatfs with Piri's own code, for the test `flatfs_go`.
//
//	go-flatfs read DIR SHARD    checks that every object on standard input, a line "key hex-of-content" each, is there
//	go-flatfs write DIR SHARD   puts them
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/storacha/piri/pkg/store/objectstore/flatfs"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(what, dir, shard string) error {
	function, err := flatfs.ParseShardFunc(shard)
	if err != nil {
		return err
	}
	store, err := flatfs.New(dir, function, true)
	if err != nil {
		return err
	}
	defer store.Close()
	ctx := context.Background()
	lines := bufio.NewReader(os.Stdin)
	for count := 0; ; count++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			fmt.Println(count)
			return nil
		} else if err != nil {
			return err
		}
		key, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		content, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		if what == "write" {
			if err := store.Put(ctx, key, uint64(len(content)), bytes.NewReader(content)); err != nil {
				return err
			}
			continue
		}
		object, err := store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		found, err := io.ReadAll(object.Body())
		if err != nil {
			return err
		}
		object.Body().Close()
		if !bytes.Equal(found, content) || object.Size() != int64(len(content)) {
			return fmt.Errorf("%s has other bytes", key)
		}
	}
}
