# A thin layer over Meson: what a newcomer types. `make` builds, `make run` shows a node with sample mail, `make check` runs
# every test. Each first installs the packages that are missing (as root or with sudo; it says so before).
BUILD ?= build

all:
	@scripts/packages build
	@scripts/build $(BUILD)

run:
	@scripts/packages build run
	@scripts/build $(BUILD)
	@exec demo/run $(BUILD)

check:
	@scripts/packages build check
	@scripts/build $(BUILD) -Dtests=true
	@scripts/check $(BUILD)

# The same on MariaDB with Galera and on an S3 store, which it starts where ../shared/stack has the recipes.
check-stores:
	@scripts/packages build check stores
	@scripts/build $(BUILD) -Dtests=true
	@scripts/check-stores $(BUILD)

# The Debian package, in build-deb.
deb:
	@scripts/packages build deb
	@scripts/deb build-deb

install: all
	meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) build-deb build-roots

.PHONY: all run check check-stores deb install clean
