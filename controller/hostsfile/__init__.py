"""The text of a hosts file: read with line numbers, edited with comments kept, saved atomically."""

from controller.hostsfile.disk import ChangedOnDisk, HostsFileError
from controller.hostsfile.file import HostsFile

__all__ = ["ChangedOnDisk", "HostsFile", "HostsFileError"]
