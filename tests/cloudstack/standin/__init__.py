# Copyright (c) 2026 The cephstack.cloud authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for CloudStack's management server: its API over HTTP, with a memory, driven by what a real 4.22 says of itself (../data).

wire.py     HTTP: requests in, envelopes out; signatures and sessions
api.py      commands as data: parameters are checked and answers cut as the real server's listApis says; jobs
state.py    the rows of everything that there is
zones.py … a file for each family of nouns: what the real server accepts, refuses and makes of it
gateway.py  a small object gateway: as much of S3 and of Ceph's Admin Ops API as object stores need

What is not known of the real server is not invented: a command without a handler answers 530 and says so. Where a real server does
otherwise, it is right, and this is mended.
"""
