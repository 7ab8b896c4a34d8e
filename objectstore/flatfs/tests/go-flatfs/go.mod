module storehouse.example/go-flatfs

go 1.25.3

require github.com/storacha/piri v0.2.4

require (
	github.com/ipfs/go-log/v2 v2.8.2 // indirect
	github.com/mattn/go-isatty v0.0.20 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.27.0 // indirect
	golang.org/x/sys v0.37.0 // indirect
)
